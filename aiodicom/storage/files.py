"""FileStorage: every object becomes a DICOM file, byte for byte as it was sent."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Literal, Self

import anyio

from aiodicom.describe import escape
from aiodicom.errors import AssociationRejected, Refused
from aiodicom.failures import log_failure
from aiodicom.requests import AssociationInfo, StoreRequest
from aiodicom.storage.commit import Durability, Job, sync_folder
from aiodicom.storage.folder_tree import FolderTree, folders_above
from aiodicom.storage.free_space import FreeSpace, Room
from aiodicom.storage.layout import default_name
from aiodicom.storage.leftovers import Owner, remove_leftovers
from aiodicom.storage.object_file import Duplicates, ObjectExists, ObjectFile, make_folders
from aiodicom.storage.placing import Placing
from aiodicom.storage.schemes import Layout
from aiodicom.storage.stored import LONGEST_UID, StoredObject
from aiodicom.storage.studies import Audience, Studies
from aiodicom.storage.writers import Writers
from aiodicom.wire.buffers import SLAB_SIZE
from aiodicom.wire.dimse import Status, Tag, clean_uid
from aiodicom.wire.elements import (
    EXPLICIT_LITTLE,
    ElementWalker,
    Encoding,
    encoding_of,
    leading_uids,
)

__all__ = ["FileStorage", "OnStored"]

logger = logging.getLogger("aiodicom.storage")

ENOUGH = SLAB_SIZE - (1 << 16)
"""Bytes that make a job, where the dataset has more than that: what a slab holds, about."""

OnStored = Callable[[StoredObject], Awaitable[object] | None]
"""Told of objects that were stored; what it returns is awaited before the response."""

_SUCCESS = Status.SUCCESS.value
_SOP_CLASS_UID = 0x00080016
_SOP_INSTANCE_UID = 0x00080018
_UIDS = (_SOP_CLASS_UID, _SOP_INSTANCE_UID)
_COMMAND_CLASS = Tag.AFFECTED_SOP_CLASS_UID.value
_COMMAND_INSTANCE = Tag.AFFECTED_SOP_INSTANCE_UID.value


class FileStorage:
    """A store handler that writes every object to a file: by default, in one folder, to
    ``<PREFIX>.<SOP Instance UID>``.

    Success means that the object stands under its name, whole, with the durability asked for.
    Nothing unfinished is ever visible under that name, and an object that is there is only ever
    replaced by a complete one.

    Parameters
    ----------
    folder : str or os.PathLike
        Where the files go. Made where it is missing.
    durability : {"durable", "none"}
        ``durable``: data and name are synced to the disk before success is answered. ``none``:
        they are with the operating system, and a power cut can take them.
    duplicates : {"replace", "keep", "both", "refuse"}
        What becomes of a complete object whose name is taken: it replaces the other (and a
        warning is logged), it is dropped, it gets a suffix, or it is answered 0x0111.
    mismatch : {"refuse", "warn"}
        What becomes of a dataset whose SOP class or instance UID is not the command's: it is
        answered 0xA900 and not stored, or stored and answered 0xB007.
    layout : Layout, optional
        What the files are called, and how they are sorted into subfolders. Names that every
        object has for itself know no duplicates: one that is taken is passed over.
    with_meta : bool
        Whether preamble and File Meta Information precede the dataset.
    on_stored : callable, optional
        Called in the event loop with each `StoredObject`, before the response. It returns at once.
        Where it returns an awaitable, the response waits for that. What it raises is logged, and
        changes nothing about the response.
    studies : Studies, optional
        Keeps the studies apart and hears of their objects, where the layout sorts by study. Its
        own storage closes it.
    announcer : Announcer, optional
        Announces stored objects and quiet studies to other programs. It is entered with the
        storage, and left after it; no response ever waits for it.
    least_free_bytes, least_free_inodes : int, optional
        Room in the file system below which new objects are answered 0xA700 before their datasets
        are read, and new associations are rejected as transient (2, 3, 1), until there is a tenth
        more than that. By default a hundredth of the file system, and no more than 256 MiB or 1,000
        inodes. 0 is no limit.

    Raises
    ------
    ValueError
        Where a setting is none of these, or the layout needs `studies` and there are none.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        durability: Literal["durable", "none"] = "durable",
        duplicates: Literal["replace", "keep", "both", "refuse"] = "replace",
        mismatch: Literal["refuse", "warn"] = "refuse",
        layout: Layout | None = None,
        with_meta: bool = True,
        on_stored: OnStored | None = None,
        studies: Studies | None = None,
        announcer: Audience | None = None,
        least_free_bytes: int | None = None,
        least_free_inodes: int | None = None,
    ) -> None:
        self.folder = os.fspath(folder)
        self._duplicates = Duplicates(duplicates)
        self._is_fresh = layout is not None and layout.is_fresh
        if self._is_fresh:  # no name of theirs is one that an object had before
            self._duplicates = Duplicates.BOTH
        if mismatch not in ("refuse", "warn"):
            raise ValueError(f"{mismatch!r} is not a valid mismatch: refuse, warn")
        self._warns = mismatch == "warn"
        self._layout = None if layout == Layout() else layout
        self._sorting = None if layout is None else layout.sorting
        if self._sorting is not None and self._sorting.is_by_run and studies is None:
            raise ValueError("this sorting is by runs of studies: give studies=Studies(...)")
        self._with_meta = with_meta
        self._on_stored = on_stored
        self._studies = studies
        self._announcer = announcer
        self._durability = Durability(durability)
        self._writers = Writers(self._durability)
        self._owner: Owner | None = None
        self._tree = FolderTree(self.folder)
        for least in (least_free_bytes, least_free_inodes):
            if least is not None and least < 0:
                raise ValueError(f"{least} cannot be kept free: 0 or more")
        self._space = FreeSpace(least_free_bytes, least_free_inodes)
        self._users = 0
        self._changing = anyio.Lock()

    async def __aenter__(self) -> Self:
        """Make the folder, remove what a crash left in it, and start the writers.

        Raises
        ------
        OSError
            Where the folder cannot be made or written to.
        """
        async with self._changing:
            if not self._users:
                owner, room = await asyncio.to_thread(self._prepare)
                if self._announcer is not None:
                    await _enter(self._announcer, owner)
                self._owner = owner
                self._space.start(self.folder, room)
                self._writers.start()
            self._users += 1
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        async with self._changing:
            self._users -= 1
            if not self._users and self._owner is not None:
                owner, self._owner = self._owner, None  # from here on nothing is begun
                self._space.stop()
                await self._writers.stop()
                if self._studies is not None:
                    await self._studies.close()
                await asyncio.to_thread(self._tree.close)
                await asyncio.to_thread(owner.close)
                if self._announcer is not None:  # after the last object; what is left has a grace
                    await self._announcer.__aexit__(None, None, None)

    def _prepare(self) -> tuple[Owner, Room]:
        self.folder = os.path.abspath(self.folder)
        self._tree = FolderTree(self.folder)
        try:
            made = make_folders(self.folder)
            room = Room.of(self.folder)
            owner = Owner(self.folder)
            try:
                if self._durability is Durability.DURABLE:
                    _sync_above(self.folder, made)
                removed = remove_leftovers(self.folder)
            except BaseException:
                owner.close()
                raise
        except OSError as error:
            reason = f"cannot store in {self.folder}: {error.strerror}"
            raise OSError(error.errno, reason) from None
        if removed:
            logger.warning("Removed %d unfinished files of a receiver that is gone", removed)
        return owner, room

    def admit(self, info: AssociationInfo) -> None:
        """Let an association in, where there is room for what it may send.

        Parameters
        ----------
        info : AssociationInfo
            Who asks.

        Raises
        ------
        AssociationRejected
            (2, 3, 1), temporary congestion, where there is not.
        """
        self._space.watch()
        if self._space.is_short:
            raise AssociationRejected("too little room where objects are stored", 2, 3, 1)

    def room(self) -> Room | None:
        """Ask the system what room there is; None while this is not entered. It may take long.

        Raises
        ------
        OSError
            What the system said.
        """
        return self._space.room()

    async def __call__(self, request: StoreRequest) -> int:
        """Store one object.

        Raises
        ------
        Refused
            0xA900, 0xC000 or 0x0111; 0xA700 where there is too little room.
        OSError
            What the operating system said; answered as 0xA700.
        """
        if self._owner is None:
            raise RuntimeError("FileStorage is not running: enter it, or give it to serve()")
        if self._space.asks:
            self._space.check()
        temporary = self._owner.temporary_name()
        placing = None
        if self._layout is None:
            name = default_name(request.sop_class_uid, request.sop_instance_uid)
            file = ObjectFile(self._tree, name, temporary, self._duplicates)
        else:
            names = self._layout.candidates(request.sop_class_uid, request.sop_instance_uid)
            name = names(0)
            file = ObjectFile(self._tree, name, temporary, self._duplicates, names)
        check = _InstanceCheck(request, self._warns)
        if self._sorting is not None or self._announcer is not None:
            placing = Placing(self._sorting, request, self._tree, self._studies, self._announcer)
        try:
            await self._write(request, file, check, placing)
            self._log(file, name)
            if placing is not None or self._on_stored is not None:
                await self._tell(request, file, placing)
        except ObjectExists:
            logger.warning("Refused, because it is there: %s", name)
            raise Refused(Status.DUPLICATE_SOP_INSTANCE, "the object is there") from None
        except BaseException:
            self._writers.abandon(file)
            raise
        finally:
            if placing is not None:
                placing.close()
        return check.status

    async def _write(
        self,
        request: StoreRequest,
        file: ObjectFile,
        check: _InstanceCheck,
        placing: Placing | None,
    ) -> None:
        dataset = request.dataset
        head: Sequence[bytes] = (request.file_meta(),) if self._with_meta else ()
        is_last = False
        while not is_last:
            block = await dataset.block(ENOUGH)
            is_last = dataset.complete  # and a block is all there is
            views = block.views if block is not None else []
            try:
                check.feed(views, is_last)
                if placing is not None:
                    placing.feed(views, is_last)
                    if is_last and self._sorting is not None:
                        file.folder = await placing.folder()
            except BaseException:
                if block is not None:
                    block.release()
                raise
            await self._writers.do(Job(file, [*head, *views], block, is_last))
            head = ()

    async def _tell(self, request: StoreRequest, file: ObjectFile, placing: Placing | None) -> None:
        """Tell of an object that was stored; nothing of that may become the response."""
        if file.existed and self._duplicates is Duplicates.KEEP:
            return
        association = request.association
        stored = StoredObject(
            file.folder,
            file.name,
            request.sop_class_uid[:LONGEST_UID],
            request.sop_instance_uid[:LONGEST_UID],
            "" if placing is None else placing.study_instance_uid,
            association.calling_ae_title,
            association.called_ae_title,
            association.address,
            association.number,
            "" if placing is None else placing.series_instance_uid,
            request.transfer_syntax_uid,
            request.dataset.size,
            time.time(),
        )
        if placing is not None:
            placing.stored = stored
        try:
            if self._announcer is not None:
                self._announcer.stored(stored)
            awaitable = None if self._on_stored is None else self._on_stored(stored)
            if awaitable is not None:
                await awaitable
        except Exception as error:
            log_failure(logger, "What follows a stored object failed", error)

    def _log(self, file: ObjectFile, wanted: str) -> None:
        name = file.name
        if self._sorting is not None:
            path = f"{file.folder}/{name}"[len(self._tree.root) + 1 :]
            if self._sorting.is_private:
                logger.debug("The file in its folder: %s", path)
            else:
                name = path
        if not file.existed or self._is_fresh:
            logger.info("Storing DICOM file: %s", name)
        elif self._duplicates is Duplicates.KEEP:
            logger.warning("DICOM file exists and is kept: %s", name)
        elif self._duplicates is Duplicates.BOTH:
            logger.warning("DICOM file %s exists; storing %s beside it", wanted, name)
        else:
            logger.info("Storing DICOM file: %s", name)
            logger.warning("DICOM file existed and was replaced: %s", name)


async def _enter(announcer: Audience, owner: Owner) -> None:
    """Enter an announcer, or give back what a storage without one has."""
    try:
        await announcer.__aenter__()
    except BaseException:
        await asyncio.to_thread(owner.close)
        raise


def _sync_above(folder: str, made: Sequence[str]) -> None:
    """Make a folder durable, also where somebody else made it, who was killed before this.

    Raises
    ------
    OSError
        Where a folder with an entry that we `made` cannot be synced.
    """
    for above in folders_above(folder):
        try:
            sync_folder(above)
        except OSError:  # one that we may not read
            if above in made:
                raise


class _InstanceCheck:
    """Checks that a dataset begins like one, and is the instance that the command names."""

    __slots__ = ("_is_done", "_request", "_walker", "_warns", "status")

    def __init__(self, request: StoreRequest, warns: bool) -> None:
        self.status = _SUCCESS
        self._request = request
        self._warns = warns
        self._walker: ElementWalker | None = None
        self._is_done = False

    def feed(self, views: Sequence[bytes | bytearray | memoryview], is_last: bool) -> None:
        """Take the next bytes of the dataset.

        Raises
        ------
        Refused
            0xC000 or 0xA900.
        """
        if self._is_done:
            return
        walker = self._walker
        if walker is None:
            encoding = encoding_of(self._request.transfer_syntax_uid)
            # How a private transfer syntax is written nobody knows: stored as it comes.
            if encoding is None or self._agrees_at_once(encoding, views):
                self._is_done = True
                return
            walker = self._walker = ElementWalker(encoding, _UIDS)
        for view in views:
            if walker.feed(view):
                break
        if is_last:
            walker.end()
        if walker.done:
            self._is_done = True
            self._compare(walker.found)

    def _agrees_at_once(
        self, encoding: Encoding, views: Sequence[bytes | bytearray | memoryview]
    ) -> bool:
        """Tell whether the dataset begins as most do, with the very bytes of the command's UIDs."""
        if encoding is not EXPLICIT_LITTLE or not views:
            return False
        named = self._request.command.elements
        uids = leading_uids(views[0])
        return uids is not None and uids == (
            named.get(_COMMAND_CLASS),
            named.get(_COMMAND_INSTANCE),
        )

    def _compare(self, found: dict[int, bytes]) -> None:
        if not found:
            raise Refused(Status.CANNOT_UNDERSTAND, "Not a dataset: no SOP class, no SOP instance")
        request = self._request
        for tag, expected in zip(
            _UIDS, (request.sop_class_uid, request.sop_instance_uid), strict=True
        ):
            uid = clean_uid(found.get(tag, b""))
            if uid == expected:
                continue
            name = "class" if tag == _SOP_CLASS_UID else "instance"
            if not self._warns:
                comment = f"SOP {name} UID of dataset and command differ"
                raise Refused(Status.DATASET_DOES_NOT_MATCH, comment, (tag,))
            logger.warning("The dataset's SOP %s UID is %s", name, escape(uid) or "missing")
            self.status = int(Status.DATASET_DOES_NOT_MATCH_WARNING)
