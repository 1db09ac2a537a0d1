"""A server's metrics, health and live page over HTTP: needs ``pip install 'aiodicom[http]'``."""

from aiodicom.http.app import application
from aiodicom.http.pages import Pages

__all__ = ["Pages", "application"]
