"""A dataset as pydicom's, taken apart in a thread."""

from __future__ import annotations

import io
import sys
import zlib
from collections.abc import Iterable
from typing import TYPE_CHECKING

import anyio.to_thread

from aiodicom.dataset import DatasetStream
from aiodicom.errors import Refused
from aiodicom.reading.libraries import load_pydicom
from aiodicom.wire.buffers import SLAB_SIZE
from aiodicom.wire.dimse import Status
from aiodicom.wire.elements import EXPLICIT_LITTLE, ElementWalker, Encoding, encoding_of

if TYPE_CHECKING:
    from pydicom import FileDataset

__all__ = ["decode"]

ENOUGH = SLAB_SIZE - (1 << 16)
"""Bytes that are worth a visit to a thread, where the dataset has more than that."""

MAXIMUM_INFLATED = 1 << 28
"""Bytes that a deflated dataset may become: a thousandth of it is enough to send them."""

INFLATE_STEP = 1 << 20

_LAST = 0x7FE00007
"""What follows is pixel data: (7FE0,0008), (7FE0,0009) or (7FE0,0010)."""

_NONE = 0xFFFFFFFF
"""No element has this tag, so one that looks for it passes all of them."""


async def decode(
    dataset: DatasetStream, head: bytes, transfer_syntax_uid: str, *, pixels: bool
) -> FileDataset:
    """Read a dataset and make pydicom's of it; see `StoreRequest.decode`."""
    dataset.check_unread()
    await load_pydicom()
    encoding = encoding_of(transfer_syntax_uid)
    if encoding is None:
        raise Refused(Status.CANNOT_UNDERSTAND, "a private transfer syntax")
    decoding = _Decoding(head, encoding, pixels)
    while (block := await dataset.block(ENOUGH if pixels else 1)) is not None:
        with block:
            is_enough = await anyio.to_thread.run_sync(decoding.feed, block.views)
        if is_enough:
            dataset.discard()
            break
    return await anyio.to_thread.run_sync(decoding.end)


class _Decoding:
    """Collects a dataset, as far as it is wanted, and takes it apart. It lives in threads.

    pydicom makes something of nearly all bytes; so it is checked here that they are elements, up
    to the last of them.
    """

    def __init__(self, head: bytes, encoding: Encoding, pixels: bool) -> None:
        self._head = head
        self._plain = EXPLICIT_LITTLE if encoding.is_deflated else encoding
        self._inflater = zlib.decompressobj(wbits=-15) if encoding.is_deflated else None
        self._pixels = pixels
        self._walker = ElementWalker(self._plain, {_NONE if pixels else _LAST}, sys.maxsize)
        self._data = io.BytesIO()
        self._is_enough = False

    def feed(self, views: Iterable[bytes | bytearray | memoryview]) -> bool:
        """Take the next bytes; tell whether they are enough.

        Raises
        ------
        Refused
            0xC000 where they are no dataset; 0xA700 where they inflate to too much.
        """
        for view in views:
            for part in (view,) if self._inflater is None else self._inflated(view):
                self._data.write(part)
                if self._walker.feed(part):
                    self._is_enough = True
                    return True
        return False

    def _inflated(self, data: bytes | bytearray | memoryview) -> Iterable[bytes]:
        assert self._inflater is not None
        part = b""
        while data or len(part) == INFLATE_STEP:  # a full step may have more behind it
            try:
                part = self._inflater.decompress(data, INFLATE_STEP)
            except zlib.error:
                raise _not_a_dataset("it cannot be inflated") from None
            if self._data.tell() + len(part) > MAXIMUM_INFLATED:
                raise Refused(Status.OUT_OF_RESOURCES, "the dataset inflates to too much")
            yield part
            data = self._inflater.unconsumed_tail

    def end(self) -> FileDataset:
        """Return what the bytes mean.

        Raises
        ------
        Refused
            0xC000 where they are no dataset.
        """
        self._walker.end()
        if self._inflater is not None and not (self._inflater.eof or self._is_enough):
            raise _not_a_dataset("it ends too early")
        try:
            return self._parsed()
        except MemoryError:
            raise
        except Exception:  # its text may quote values
            raise _not_a_dataset("it cannot be read") from None

    def _parsed(self) -> FileDataset:
        from pydicom import FileDataset, dcmread
        from pydicom.filereader import read_dataset

        self._data.seek(0)
        is_implicit, is_little = not self._plain.is_explicit, not self._plain.is_big
        stop_when = None if self._pixels else lambda tag, vr, length: tag > _LAST
        dataset = read_dataset(self._data, is_implicit, is_little, stop_when=stop_when)
        meta = dcmread(io.BytesIO(self._head))
        # Not self._data, which is as large again.
        of_file = FileDataset(
            io.BytesIO(), dataset, meta.preamble, meta.file_meta, is_implicit, is_little
        )
        characters = dataset.original_character_set
        of_file.set_original_encoding(is_implicit, is_little, characters)
        return of_file


def _not_a_dataset(why: str) -> Refused:
    return Refused(Status.CANNOT_UNDERSTAND, f"Not a dataset: {why}")
