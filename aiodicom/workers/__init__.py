"""Several processes on one port: a parent, its workers, and what they share."""
