"""Who may associate: rules, a file of them, user names and passwords."""
