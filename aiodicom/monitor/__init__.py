"""Watchers that come with the box: metrics, lines of JSON, spans."""

from aiodicom.monitor.monitor import Monitor

__all__ = ["Monitor"]
