"""Fixtures of pytest's; whoever imports something else here does not import pytest."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from aiodicom.testing.servers import ServerThread

__all__ = ["dicom_server"]


@pytest.fixture
def dicom_server() -> Iterator[ServerThread]:
    """Serve on a free port of 127.0.0.1 while a test runs, and keep what comes.

    It has a thread of its own, so it serves tests with an event loop, whoever runs that, and
    tests without. See `ServerThread`.
    """
    with ServerThread() as server:
        yield server
