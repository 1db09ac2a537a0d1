"""Objects that are changed on their way: converted, without newer VRs, under a new identity.

Plain functions for worker threads. What is changed beyond some elements goes through a temporary
file, so that memory is bounded whatever the size.
"""

from __future__ import annotations

import contextlib
import io
import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple

from aiodicom.errors import NotSent
from aiodicom.objects.convert import convert
from aiodicom.objects.header import ObjectHeader
from aiodicom.objects.invent import SOP_INSTANCE_UID, patch_deflated, patches
from aiodicom.objects.source import Piece, Source
from aiodicom.wire.negotiation import IMPLICIT_LITTLE
from aiodicom.wire.proposal import DEFLATED

__all__ = ["SOP_INSTANCE_UID", "Alterations", "altered", "open_file"]


@dataclass(frozen=True, slots=True)
class Alterations:
    """How objects are changed on their way; by default they go byte for byte.

    Parameters
    ----------
    compression_level : int
        0 to 9, where a dataset is deflated because the peer accepts nothing else.
    without_new_vrs : bool
        Whether elements of UN, UT and the other VRs that came after 1993 become OB.
    replacements : callable or None
        Returns, for each object anew, values for top-level elements by their tags; called in
        worker threads.
    """

    compression_level: int = 6
    without_new_vrs: bool = False
    replacements: Callable[[], Mapping[int, bytes]] | None = None


def altered(
    header: ObjectHeader,
    dataset: bytes | None,
    to_uid: str,
    alterations: Alterations,
    replaced: Mapping[int, bytes],
) -> Source:
    """Return the dataset of an object as it is sent.

    Parameters
    ----------
    header : ObjectHeader
        What it is.
    dataset : bytes or None
        Its dataset; None where that is in a file.
    to_uid : str
        The transfer syntax that it is sent in.
    alterations : Alterations
        How it is changed.
    replaced : mapping of int to bytes
        The values that it gets, by their tags.

    Raises
    ------
    NotSent
        Where it cannot be read, or would lose something.
    """
    try:
        return _altered(header, dataset, to_uid, alterations, replaced)
    except OSError as error:
        raise NotSent(f"cannot be read or converted: {error.strerror}") from None


class _Part(NamedTuple):
    """Where a dataset stands."""

    file: BinaryIO
    start: int
    size: int


def _altered(
    header: ObjectHeader,
    dataset: bytes | None,
    to_uid: str,
    alterations: Alterations,
    replaced: Mapping[int, bytes],
) -> Source:
    with contextlib.ExitStack() as files:
        part = _opened(files, header, dataset)
        is_rewritten = alterations.without_new_vrs and to_uid != IMPLICIT_LITTLE
        if to_uid != header.transfer_syntax_uid or is_rewritten:
            part = _converted(files, part, header.transfer_syntax_uid, to_uid, alterations)
        if replaced and to_uid == DEFLATED:
            part = _patched(files, part, to_uid, replaced, alterations.compression_level)
            replaced = {}
        pieces: list[Piece] = [(part.start, part.size)]
        if replaced:
            pieces = patches(part.file, to_uid, replaced, start=part.start, size=part.size)
        part.file.flush()
        return Source(pieces, os.dup(part.file.fileno()))


def _opened(files: contextlib.ExitStack, header: ObjectHeader, dataset: bytes | None) -> _Part:
    if dataset is None:
        file = files.enter_context(os.fdopen(open_file(header), "rb"))
        return _Part(file, header.offset, header.size)
    part = _Part(_temporary(files), 0, len(dataset))
    part.file.write(dataset)
    return part


def _temporary(files: contextlib.ExitStack) -> BinaryIO:
    return files.enter_context(tempfile.TemporaryFile())


def _converted(
    files: contextlib.ExitStack,
    part: _Part,
    from_uid: str,
    to_uid: str,
    alterations: Alterations,
) -> _Part:
    target = _temporary(files)
    convert(
        part.file,
        target,
        from_uid,
        to_uid,
        start=part.start,
        size=part.size,
        level=alterations.compression_level,
        without_new_vrs=alterations.without_new_vrs,
    )
    return _Part(target, 0, target.seek(0, io.SEEK_END))


def _patched(
    files: contextlib.ExitStack, part: _Part, uid: str, replaced: Mapping[int, bytes], level: int
) -> _Part:
    target = _temporary(files)
    patch_deflated(part.file, target, uid, replaced, start=part.start, size=part.size, level=level)
    return _Part(target, 0, target.seek(0, io.SEEK_END))


def open_file(header: ObjectHeader) -> int:
    """Open the file of an object; return its descriptor.

    Raises
    ------
    NotSent
        Where that is not possible, or it is not the file any more whose header was read.
    """
    try:
        descriptor = os.open(header.path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise NotSent(f"cannot be read: {error.strerror}") from None
    status = os.fstat(descriptor)
    found = status.st_mtime_ns, status.st_size
    if header.modified and found != (header.modified, header.offset + header.size):
        os.close(descriptor)
        raise NotSent("the file has changed since its header was read")
    return descriptor
