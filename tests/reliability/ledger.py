"""What was sent and what was acknowledged, and whether a folder agrees with it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from tests.reliability.promises import dataset_in

__all__ = ["Ledger"]


@dataclass(slots=True)
class _Entry:
    """One SOP Instance UID: the digests of what was sent, and the last one acknowledged."""

    study: str
    digests: list[bytes] = field(default_factory=list)
    acknowledged: int = -1


class Ledger:
    """An account of a folder; each UID has one sender, who waits for each answer.

    Attributes
    ----------
    acknowledged, replaced : int
        How many objects were stored, and how many of those in the place of another.
    """

    def __init__(self, folder: Path, sorts: bool) -> None:
        self.folder, self.sorts = folder, sorts
        self.acknowledged = self.replaced = self.checked = 0
        self._entries: dict[str, _Entry] = {}

    def uids(self, beginning: str) -> list[str]:
        return [uid for uid in self._entries if uid.startswith(beginning)]

    def sending(self, uid: str, study: str, data: bytes) -> None:
        entry = self._entries.setdefault(uid, _Entry(study))
        entry.digests.append(_digest(data))

    def stored(self, uid: str) -> None:
        """Hear that the object of that UID which was sent last is stored."""
        entry = self._entries[uid]
        self.acknowledged += 1
        self.replaced += entry.acknowledged >= 0
        entry.acknowledged = len(entry.digests) - 1

    def check(self) -> list[str]:
        """Return what is wrong with the folder; each object is read, and compared."""
        found = {
            path.name.removeprefix("CT."): path
            for path in self.folder.rglob("*")
            if path.is_file() and not path.name.startswith(".")
        }
        wrong = [
            f"nobody has sent {path}" for uid, path in found.items() if uid not in self._entries
        ]
        for uid, entry in self._entries.items():
            path = found.get(uid)
            if path is None:
                if entry.acknowledged >= 0:
                    wrong.append(f"{uid} is lost")
                continue
            digest = _digest(dataset_in(path.read_bytes()))
            self.checked += 1
            if digest not in entry.digests:
                wrong.append(f"{uid} is not whole")
            elif digest not in entry.digests[max(entry.acknowledged, 0) :]:
                wrong.append(f"{uid} is an older one than was acknowledged")
            if self.sorts and path.parent.name != entry.study:
                wrong.append(f"{uid} is not in the folder of its study")
        return wrong

    def prune(self, most: int) -> None:
        """Remove the oldest objects, so that the next check takes no longer."""
        while len(self._entries) > most:
            uid = next(iter(self._entries))
            entry = self._entries.pop(uid)
            folder = self.folder / entry.study if self.sorts else self.folder
            (folder / f"CT.{uid}").unlink(missing_ok=True)


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=16).digest()
