"""A receiver whose folder is a small file system of its own, a tmpfs that fills up."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.processes import Receiver, receiving, run

__all__ = ["SmallDisk", "receiving_on_a_small_disk"]

NEEDED = (
    "a tmpfs cannot be mounted: this has to be run by root, or where users may make name spaces"
    " (sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone=1,"
    " kernel.apparmor_restrict_unprivileged_userns=0)"
)

MOUNT = 'mount -t tmpfs -o size="$0" none "$1" && shift && exec "$@"'


@dataclass(frozen=True, slots=True)
class SmallDisk:
    """The disk, as it is seen from outside.

    Parameters
    ----------
    receiver : Receiver
        Who stores on it.
    folder : Path
        What it sees there. Nobody else does: the disk is mounted in its own name space.
    """

    receiver: Receiver
    folder: Path

    def fill(self, leaving: int) -> None:
        """Take all of it but so many bytes."""
        status = os.statvfs(self.folder)
        (self.folder / ".filler").write_bytes(bytes(status.f_bavail * status.f_frsize - leaving))

    def make_room(self) -> None:
        (self.folder / ".filler").unlink()


@contextlib.contextmanager
def receiving_on_a_small_disk(folder: Path, size: int, *options: str) -> Iterator[SmallDisk]:
    """Run storescp, which stores on a disk of so many bytes, while the body runs.

    Raises
    ------
    AssertionError
        Where no file system can be mounted, with what is needed for that.
    """
    disk = folder / "disk"
    disk.mkdir()
    prefix = (*_name_space(disk), "sh", "-c", MOUNT, str(size), str(disk))
    with receiving("storescp", "-od", str(disk), *options, folder=folder, prefix=prefix) as running:
        yield SmallDisk(running, Path(f"/proc/{running.process.pid}/root{disk}"))


def _name_space(folder: Path) -> tuple[str, ...]:
    """What makes a name space of mounts: root may, others as root of a user name space.

    Where nobody may, the test is left out, loudly; that is an error in CI.
    """
    said = []
    for options in (("--mount",), ("--mount", "--user", "--map-root-user")):
        command = ("unshare", *options)
        tried = run((*command, "sh", "-c", MOUNT, "1m", str(folder), "true"))
        if tried.returncode == 0:
            return command
        said.append(tried.stderr.strip())
    if not os.environ.get("CI"):
        pytest.skip(NEEDED)
    raise AssertionError(f"{NEEDED}: {said}")
