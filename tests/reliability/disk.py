"""A disk that may lose, in a power cut, whatever was not synced: a model of any file system.

It is as mean as POSIX allows. Of the data that was not synced any write may be missing, as zeros
or as the end of the file; of the names that were not synced any may be missing, whatever their
order, also a folder's own name when all in it was synced. Only a rename is atomic: where the new
name is not, the old one still is.
"""

from __future__ import annotations

import itertools
import os
import random
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.reliability.recording import Event

__all__ = ["Disk", "Files"]

Files = dict[str, bytes]
"""What a user finds after a power cut: contents by path."""


@dataclass(eq=False, slots=True)
class File:
    """A file's writes, and how many of them were synced."""

    writes: list[bytes] = field(default_factory=list)
    synced: int = 0
    _whole: bytes = b""

    @property
    def whole(self) -> bytes:
        """All that was written; the same object every time, because it is looked up so often."""
        if len(self._whole) < sum(map(len, self.writes)):
            self._whole = b"".join(self.writes)
        return self._whole

    def contents(self) -> Iterator[bytes]:
        """What it may hold after a power cut, that which was written first."""
        whole = self.whole
        yield whole
        if self.synced == len(self.writes):
            return
        safe = b"".join(self.writes[: self.synced])
        yield safe
        yield safe + bytes(len(whole) - len(safe))
        yield whole[: (len(safe) + len(whole)) // 2]
        for lost in range(self.synced, len(self.writes)):
            kept = [*self.writes]
            kept[lost] = bytes(len(kept[lost]))
            yield b"".join(kept)


@dataclass(eq=False, slots=True)
class Link:
    """A symbolic link."""

    target: str


@dataclass(eq=False, slots=True)
class Folder:
    """The names that are durable in it."""

    names: dict[str, Node] = field(default_factory=dict)


Node = File | Folder | Link


@dataclass(eq=False, slots=True)
class Change:
    """A name in a folder that was given, or taken where there is no node.

    `after` is the other half of a rename: while that is not, this one is not either.
    """

    folder: Folder
    name: str
    node: Node | None
    after: Change | None = None


class Disk:
    """Replays what was done, and tells what a power cut would leave of it.

    Parameters
    ----------
    folder : str
        A folder that is durable, and empty.

    Attributes
    ----------
    published : dict
        The files that were ever given a name which a user sees, in their order.
    """

    def __init__(self, folder: str) -> None:
        self.published: dict[str, list[File]] = {}
        self._base = folder
        self._root = Folder()
        self._now: dict[str, Node] = {folder: self._root}
        self._descriptors: dict[int, Node] = {}
        self._pending: list[Change] = []

    def apply(self, event: Event) -> None:
        """Do what was done."""
        _EFFECTS[event.call](self, event)

    # Events --------------------------------------------------------------------------------------

    def _opened(self, event: Event) -> None:
        if event.path not in self._now:
            self._give(event.path, File())
        self._descriptors[event.descriptor] = self._now[event.path]

    def _give(self, path: str, node: Node | None, after: Change | None = None) -> Change:
        """Give a name, or take one; not durable yet."""
        folder, name = os.path.split(path)
        holder = self._now[folder]
        assert isinstance(holder, Folder), path
        change = Change(holder, name, node, after)
        self._pending.append(change)
        if node is None:
            del self._now[path]
        else:
            self._now[path] = node
            if isinstance(node, File) and name[0] != ".":
                self.published.setdefault(path, []).append(node)
        return change

    def _written(self, event: Event) -> None:
        file = self._descriptors[event.descriptor]
        assert isinstance(file, File)
        file.writes.append(event.data)

    def _made(self, event: Event) -> None:
        self._give(event.path, Folder())

    def _removed(self, event: Event) -> None:
        self._give(event.path, None)

    def _linked(self, event: Event) -> None:
        self._give(event.target, self._now[event.path])

    def _symlinked(self, event: Event) -> None:
        self._give(event.target, Link(event.path))

    def _renamed(self, event: Event) -> None:
        added = self._give(event.target, self._now[event.path])
        self._give(event.path, None, added)

    def _closed(self, event: Event) -> None:
        del self._descriptors[event.descriptor]

    def _synced(self, event: Event) -> None:
        node = self._descriptors[event.descriptor]
        if isinstance(node, File):
            node.synced = len(node.writes)
        elif isinstance(node, Folder):
            self._sync_names(node)

    def _sync_names(self, folder: Folder) -> None:
        pending = self._pending
        # The half of a rename that takes the old name waits for the one that gives the new name.
        self._pending = [
            change
            for change in pending
            if change.folder is not folder
            or (change.after in pending and change.after.folder is not folder)
        ]
        for change in pending:
            if change not in self._pending:
                _do(change, folder.names)

    # Power cuts ----------------------------------------------------------------------------------

    def states(self, limit: int, chance: random.Random) -> Iterator[Files]:
        """What a user may find after a power cut now: all of it, or `limit` of many."""
        # Names that begin with a dot are nobody's, and none of the others depends on them.
        changes = [change for change in self._pending if change.name[0] != "."]
        for kept in _subsets(changes, limit, chance):
            yield from self._contents(self._nodes(kept))

    def _nodes(self, kept: list[Change]) -> dict[str, File]:
        """The files that are found where some of what is pending has happened."""
        names: dict[int, dict[str, Node]] = {}
        for change in kept:
            if change.after is None or change.after in kept or change.after not in self._pending:
                _do(change, names.setdefault(id(change.folder), dict(change.folder.names)))
        found: dict[str, File] = {}
        links: dict[str, str] = {}
        folders = [(self._base, self._root)]
        while folders:
            path, folder = folders.pop()
            for name, node in names.get(id(folder), folder.names).items():
                if isinstance(node, Folder):
                    folders.append((f"{path}/{name}", node))
                elif isinstance(node, Link):
                    links[f"{path}/{name}"] = f"{path}/{node.target}"
                elif name[0] != ".":
                    found[f"{path}/{name}"] = node
        found.update({link: found.get(target, File()) for link, target in links.items()})
        return found

    def _contents(self, found: dict[str, File]) -> Iterator[Files]:
        """Whatever the data of those files may be: of each in turn, beside whole ones."""
        choices = [list(file.contents()) for file in found.values()]
        files = dict(zip(found, (choice[0] for choice in choices), strict=True))
        yield files
        for path, choice in zip(found, choices, strict=True):
            for damaged in choice[1:]:
                yield {**files, path: damaged}


_EFFECTS = {
    "create": Disk._opened,
    "open": Disk._opened, "close": Disk._closed, "write": Disk._written, "writev": Disk._written,
    "fdatasync": Disk._synced, "fsync": Disk._synced, "mkdir": Disk._made, "rmdir": Disk._removed,
    "unlink": Disk._removed, "link": Disk._linked, "symlink": Disk._symlinked,
    "rename": Disk._renamed,
}  # fmt: skip


def _do(change: Change, names: dict[str, Node]) -> None:
    if change.node is None:
        names.pop(change.name, None)
    else:
        names[change.name] = change.node


def _subsets(changes: list[Change], limit: int, chance: random.Random) -> Iterator[list[Change]]:
    """All subsets; or of too many those that tell most, and some by chance."""
    if 1 << len(changes) <= limit:
        for kept in itertools.product((False, True), repeat=len(changes)):
            yield list(itertools.compress(changes, kept))
        return
    yield changes
    yield []
    for _ in range(limit - 2):
        likelihood = chance.choice((0.1, 0.5, 0.9))
        yield [change for change in changes if chance.random() < likelihood]
