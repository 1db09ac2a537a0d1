"""The DICOM Conformance Statement (PS3.2) of a command, as its command line configures it."""

from __future__ import annotations

from aiodicom.conformance.command import COMMAND, conformance
from aiodicom.conformance.statement import statement

__all__ = ["COMMAND", "conformance", "statement"]
