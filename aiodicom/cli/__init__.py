"""What the commands share: options, log set-up, files they may open."""
