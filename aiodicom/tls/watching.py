"""Whether files have changed, without reading them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from aiodicom.tls.files import StrPath, files_in
from aiodicom.tls.settings import TLS

__all__ = ["Appearance", "appearance"]

Appearance = frozenset[tuple[str, int, int, int, int, int]]
"""Each file that there is: its path, device, inode, size, and times of its data and of itself."""


def appearance(tls: TLS) -> Appearance:
    """Return what all files look like that are wanted of TLS, those in folders included."""
    return frozenset(_looks(tls))


def _looks(tls: TLS) -> Iterator[tuple[str, int, int, int, int, int]]:
    for path in _paths(tls):
        with contextlib.suppress(OSError, ValueError):  # it is gone: that is a change as well
            s = os.stat(path)  # through links: with those, pairs are renewed at a stroke
            yield os.fspath(path), s.st_dev, s.st_ino, s.st_size, s.st_mtime_ns, s.st_ctime_ns


def _paths(tls: TLS) -> Iterator[StrPath]:
    files = (tls.key, tls.certificate, tls.dh_parameters, *tls.authorities, *tls.revocation_lists)
    yield from (path for path in files if path is not None)
    for folder in tls.authority_folders:
        with contextlib.suppress(OSError):
            yield from files_in(folder)
