"""The acceptor's side of one association: its connection, its conversation, its answers."""
