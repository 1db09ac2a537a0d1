"""The requestor's side: associations that we ask for, and objects that we send."""

from aiodicom.client.connecting import connect
from aiodicom.client.requestor import Requestor
from aiodicom.client.results import StoreResult

__all__ = ["Requestor", "StoreResult", "connect"]
