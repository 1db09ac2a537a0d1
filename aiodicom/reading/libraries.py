"""pydicom, which is large and imported by those who need it."""

from __future__ import annotations

import importlib

import anyio.to_thread

__all__ = ["load_pydicom"]

_loaded: list[object] = []


async def load_pydicom() -> None:
    """Import pydicom, in a thread: that takes a tenth of a second, the first time."""
    if not _loaded:
        _loaded.append(await anyio.to_thread.run_sync(importlib.import_module, "pydicom"))
