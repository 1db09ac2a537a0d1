"""Server: listening, connections, starting and stopping, and those who watch."""
