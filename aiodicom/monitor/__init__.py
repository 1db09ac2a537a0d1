"""What a server has done and does: counted, measured, and told to whoever asks."""

from aiodicom.monitor.monitor import Monitor

__all__ = ["Monitor"]
