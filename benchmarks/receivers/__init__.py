"""The receivers: what they are, how each of them is started, and which of them are there."""
