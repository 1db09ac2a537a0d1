"""DICOM's wire, sans I/O: bytes in, values out, and back. No sockets, no clock, no threads."""
