"""Other ways to read a dataset than as it comes: a look at its beginning, pydicom's, a file."""
