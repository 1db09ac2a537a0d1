"""FileStorage: every object becomes a DICOM file, byte for byte as it was sent."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Sequence
from typing import Self

import anyio

from aiodicom.describe import escape
from aiodicom.errors import Refused
from aiodicom.requests import StoreRequest
from aiodicom.storage.commit import Durability, Job, sync_folder
from aiodicom.storage.layout import default_name
from aiodicom.storage.leftovers import Owner, remove_leftovers
from aiodicom.storage.object_file import Duplicates, ObjectExists, ObjectFile, make_folders
from aiodicom.storage.writers import Writers
from aiodicom.wire.buffers import SLAB_SIZE
from aiodicom.wire.dimse import Status, clean_uid
from aiodicom.wire.elements import ElementWalker, encoding_of

__all__ = ["FileStorage"]

logger = logging.getLogger("aiodicom.storage")

ENOUGH = SLAB_SIZE - (1 << 16)
"""Bytes that make a job, where the dataset has more than that: what a slab holds, about."""

_SUCCESS = Status.SUCCESS.value
_SOP_CLASS_UID = 0x00080016
_SOP_INSTANCE_UID = 0x00080018


class FileStorage:
    """A store handler that writes ``<PREFIX>.<SOP Instance UID>`` files into a folder.

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

    Raises
    ------
    ValueError
        Where a setting is none of these.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        durability: str = "durable",
        duplicates: str = "replace",
        mismatch: str = "refuse",
    ) -> None:
        self.folder = os.fspath(folder)
        self._duplicates = Duplicates(duplicates)
        if mismatch not in ("refuse", "warn"):
            raise ValueError(f"{mismatch!r} is not a valid mismatch: refuse, warn")
        self._warns = mismatch == "warn"
        self._durability = Durability(durability)
        self._writers = Writers(self._durability)
        self._owner: Owner | None = None
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
                self._owner = await asyncio.to_thread(self._prepare)
                self._writers.start()
            self._users += 1
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        async with self._changing:
            self._users -= 1
            if not self._users and self._owner is not None:
                owner, self._owner = self._owner, None  # from here on nothing is begun
                await self._writers.stop()
                await asyncio.to_thread(owner.close)

    def _prepare(self) -> Owner:
        self.folder = os.path.abspath(self.folder)
        try:
            made = make_folders(self.folder)
            owner = Owner(self.folder)
            if self._durability is Durability.DURABLE:
                for folder in made:
                    sync_folder(folder)
        except OSError as error:
            reason = f"cannot store in {self.folder}: {error.strerror}"
            raise OSError(error.errno, reason) from None
        removed = remove_leftovers(self.folder)
        if removed:
            logger.warning("Removed %d unfinished files of a receiver that is gone", removed)
        return owner

    async def __call__(self, request: StoreRequest) -> int:
        """Store one object.

        Raises
        ------
        Refused
            0xA900, 0xC000 or 0x0111.
        OSError
            What the operating system said; answered as 0xA700.
        """
        if self._owner is None:
            raise RuntimeError("FileStorage is not running: enter it, or give it to serve()")
        name = default_name(request.sop_class_uid, request.sop_instance_uid)
        temporary = self._owner.temporary_name()
        file = ObjectFile(self.folder, name, temporary, self._duplicates)
        check = _InstanceCheck(request, self._warns)
        try:
            await self._write(request, file, check)
        except ObjectExists:
            logger.warning("Refused, because it is there: %s", name)
            raise Refused(Status.DUPLICATE_SOP_INSTANCE, "the object is there") from None
        except BaseException:
            self._writers.abandon(file)
            raise
        self._log(file, name)
        return check.status

    async def _write(self, request: StoreRequest, file: ObjectFile, check: _InstanceCheck) -> None:
        dataset = request.dataset
        head: Sequence[bytes] = (request.file_meta(),)
        is_last = False
        while not is_last:
            block = await dataset.block(ENOUGH)
            is_last = dataset.complete  # and a block is all there is
            views = block.views if block is not None else []
            try:
                check.feed(views, is_last)
            except BaseException:
                if block is not None:
                    block.release()
                raise
            await self._writers.do(Job(file, [*head, *views], block, is_last))
            head = ()

    def _log(self, file: ObjectFile, wanted: str) -> None:
        if not file.existed:
            logger.info("Storing DICOM file: %s", file.name)
        elif self._duplicates is Duplicates.KEEP:
            logger.warning("DICOM file exists and is kept: %s", file.name)
        elif self._duplicates is Duplicates.BOTH:
            logger.warning("DICOM file %s exists; storing %s beside it", wanted, file.name)
        else:
            logger.info("Storing DICOM file: %s", file.name)
            logger.warning("DICOM file existed and was replaced: %s", file.name)


class _InstanceCheck:
    """Checks that a dataset begins like one, and is the instance that the command names."""

    def __init__(self, request: StoreRequest, warns: bool) -> None:
        self.status = _SUCCESS
        self._expected = {
            _SOP_CLASS_UID: request.sop_class_uid,
            _SOP_INSTANCE_UID: request.sop_instance_uid,
        }
        self._warns = warns
        encoding = encoding_of(request.transfer_syntax_uid)
        # How a private transfer syntax is written nobody knows: stored as it comes.
        self._walker = ElementWalker(encoding, self._expected) if encoding else None

    def feed(self, views: Sequence[bytes | bytearray | memoryview], is_last: bool) -> None:
        """Take the next bytes of the dataset.

        Raises
        ------
        Refused
            0xC000 or 0xA900.
        """
        walker = self._walker
        if walker is None:
            return
        for view in views:
            if walker.feed(view):
                break
        if is_last:
            walker.end()
        if walker.done:
            self._walker = None
            self._compare(walker.found)

    def _compare(self, found: dict[int, bytes]) -> None:
        if not found:
            raise Refused(Status.CANNOT_UNDERSTAND, "Not a dataset: no SOP class, no SOP instance")
        for tag, expected in self._expected.items():
            uid = clean_uid(found.get(tag, b""))
            if uid == expected:
                continue
            name = "class" if tag == _SOP_CLASS_UID else "instance"
            if not self._warns:
                comment = f"SOP {name} UID of dataset and command differ"
                raise Refused(Status.DATASET_DOES_NOT_MATCH, comment, (tag,))
            logger.warning("The dataset's SOP %s UID is %s", name, escape(uid) or "missing")
            self.status = int(Status.DATASET_DOES_NOT_MATCH_WARNING)
