"""Store handlers that are made of others."""
