"""A fresh ext4 in a file, where the user may mount one."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.messages import LoadError

__all__ = ["fresh_ext4"]

SIZE = 24 << 30
"""Bytes, of which only those that are written take room."""


@contextlib.contextmanager
def fresh_ext4(folder: str | None = None) -> Iterator[str]:
    """Make an ext4 in a file of `folder`, mount it, and remove it at the end.

    Yields
    ------
    str
        Where it is mounted.

    Raises
    ------
    LoadError
        Where that is not allowed, or not possible.
    """
    with tempfile.TemporaryDirectory(prefix="aiodicom-ext4-", dir=folder) as around:
        image, mounted = Path(around, "image"), Path(around, "mounted")
        image.touch()
        os.truncate(image, SIZE)
        mounted.mkdir()
        _run("mkfs.ext4", "-q", "-F", str(image))
        _run("mount", "-o", "loop", str(image), str(mounted))
        try:
            yield str(mounted)
        finally:
            _run("umount", str(mounted))


def _run(*command: str) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise LoadError(f"a fresh ext4 needs {command[0]}, which is not there") from None
    if done.returncode:
        raise LoadError(f"{command[0]}: {done.stderr.strip()} (a fresh ext4 needs root)")
