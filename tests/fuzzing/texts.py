"""What people write, or get from somewhere: configuration files, and names for folders."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator

from aiodicom.cli.dictionary import _read
from aiodicom.cli.logs import _parse
from aiodicom.cli.profiles import ProfileError, load_profile
from aiodicom.storage.layout import default_name, safe_uid
from aiodicom.storage.patient_names import safe_patient_name
from aiodicom.wire.dimse import clean_uid

__all__ = ["names", "texts"]

Target = Callable[[bytes], None]

LONGEST_NAME = 255
"""Bytes of a name in any file system that matters."""


@contextlib.contextmanager
def texts() -> Iterator[Target]:
    """Read a file as an association profile, a data dictionary and a log configuration."""
    memory = "/dev/shm" if os.path.isdir("/dev/shm") else None
    with tempfile.NamedTemporaryFile(dir=memory) as file:

        def read(data: bytes) -> None:
            file.seek(0)
            file.truncate()
            file.write(data)
            file.flush()
            _check(file.name, data)

        yield read


def _check(path: str, data: bytes) -> None:
    for receiving in (True, False):
        with contextlib.suppress(ProfileError):
            profile = load_profile(path, "Default", receiving=receiving)
            assert profile.contexts
            assert all(warning.isprintable() for warning in profile.warnings)
    entries, problems = _read(path)
    assert len(entries) + len(problems) <= len(data)
    with contextlib.suppress(ValueError):
        _parse(data.decode("utf-8", "replace"), path)


@contextlib.contextmanager
def names() -> Iterator[Target]:
    """Make names of files and folders of what a peer has sent."""
    yield _check_names


def _check_names(data: bytes) -> None:
    class_data, _, instance = data.partition(b"|")
    uid = clean_uid(instance)
    for name in (default_name(clean_uid(class_data), uid), f"X_{safe_uid(uid)}"):
        _check_name(name)
    for part in safe_patient_name(class_data, instance).split("/"):
        _check_name(f"X{part}")


def _check_name(name: str) -> None:
    assert "/" not in name
    assert name.isprintable()
    assert name not in (".", "..")
    assert len(os.fsencode(name)) <= LONGEST_NAME
