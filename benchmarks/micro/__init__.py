"""One step of the receiver at a time, so that a later change can be compared: see docs."""
