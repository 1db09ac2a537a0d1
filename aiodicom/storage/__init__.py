"""Store handlers that come with the box. They know requests, and nothing of servers."""
