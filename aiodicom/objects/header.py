"""What an object in a file is, read from its beginning; pixels are not touched.

Plain functions for worker threads.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from typing import Literal

from aiodicom.describe import escape
from aiodicom.errors import NotSent, Refused
from aiodicom.objects.whole import check_whole
from aiodicom.wire.dimse import clean_uid
from aiodicom.wire.elements import ElementWalker, Encoding, encoding_of
from aiodicom.wire.negotiation import EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE
from aiodicom.wire.part10 import FileMeta
from aiodicom.wire.proposal import is_uid

__all__ = ["LONGEST", "Form", "ObjectHeader", "TooShort", "parse_header", "read_header"]

FIRST_READ = 1 << 12
"""Bytes that nearly always hold the File Meta Information and both UIDs."""

LONGEST = 1 << 20
"""Bytes of a file within which both UIDs are looked for."""

Form = Literal["any", "file", "dataset"]
"""Whether a file has File Meta Information, has none, or may have any."""

_SOP_CLASS_UID = 0x00080016
_SOP_INSTANCE_UID = 0x00080018
_WANTED = (_SOP_CLASS_UID, _SOP_INSTANCE_UID)
_PREAMBLE = bytes(128) + b"DICM"
_GROUP_2 = b"\2\0"


@dataclass(frozen=True, slots=True)
class ObjectHeader:
    """What an object is, and where its dataset stands.

    Parameters
    ----------
    path : str
        Its file; empty where it is not in one.
    sop_class_uid, sop_instance_uid, transfer_syntax_uid : str
        Of the dataset itself; the File Meta Information may say otherwise of the first two.
    offset : int
        Bytes before the dataset.
    size : int
        Bytes of the dataset.
    modified : int
        When its file was last changed, in nanoseconds since 1970; 0 where it is not in one.
    """

    path: str
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    offset: int = 0
    size: int = 0
    modified: int = 0


class TooShort(Exception):
    """More of the object is needed to tell what it is."""


def read_header(path: str | os.PathLike[str], form: Form = "any") -> ObjectHeader:
    """Read what the object in a file is. It reads a file: in an event loop let a thread do that.

    Parameters
    ----------
    path : str or os.PathLike
        The file.
    form : {"any", "file", "dataset"}
        Whether a dataset without File Meta Information is taken as well, or nothing else is.

    Returns
    -------
    ObjectHeader
        What `Requestor.send` takes in place of a path, and reads no more.

    Raises
    ------
    NotSent
        Where the file cannot be read, holds no object, or was cut off; says why.
    """
    path = os.fspath(path)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            return _read(descriptor, path, form)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise NotSent(f"cannot be read: {error.strerror}") from None


def _read(descriptor: int, path: str, form: Form) -> ObjectHeader:
    data, length = b"", FIRST_READ
    while True:
        data += os.pread(descriptor, length - len(data), len(data))
        is_all = len(data) < length
        try:
            header = parse_header(data, form, is_all=is_all)
        except TooShort:
            if length == LONGEST:
                raise NotSent("no SOP Instance UID in its first megabyte") from None
            length = min(length * 8, LONGEST)
            continue
        status = os.fstat(descriptor)
        size = status.st_size - header.offset
        encoding = encoding_of(header.transfer_syntax_uid)
        if encoding is not None:
            check_whole(descriptor, header.offset, size, encoding, data[header.offset :])
        return ObjectHeader(
            path,
            header.sop_class_uid,
            header.sop_instance_uid,
            header.transfer_syntax_uid,
            header.offset,
            size,
            status.st_mtime_ns,
        )


def parse_header(data: bytes, form: Form = "any", *, is_all: bool = True) -> ObjectHeader:
    """Read what an object is from the beginning of its file.

    Parameters
    ----------
    data : bytes
        The file, or its beginning.
    form : {"any", "file", "dataset"}
        See `read_header`.
    is_all : bool
        Whether `data` is the whole file.

    Raises
    ------
    NotSent
        Where it is no object.
    TooShort
        Where `data` is not the whole file, and too little of it.
    """
    if not is_all and len(data) < 140:
        raise TooShort
    meta, offset = _meta(data, form, is_all)
    transfer = meta.transfer_syntax_uid if meta else ""
    transfer = transfer or _guess(data[offset : offset + 8])
    encoding = encoding_of(transfer)
    found = _uids(data, offset, encoding, is_all) if encoding else {}
    sop_class = clean_uid(found.get(_SOP_CLASS_UID, b"")) or (meta.sop_class_uid if meta else "")
    instance = clean_uid(found.get(_SOP_INSTANCE_UID, b"")) or (
        meta.sop_instance_uid if meta else ""
    )
    if not sop_class or not instance:
        missing = "SOP Instance" if sop_class else "SOP Class"
        raise NotSent(f"no {missing} UID: not an object that can be stored")
    for uid in (sop_class, transfer):
        if not is_uid(uid):  # it would cost the association of all the others
            raise NotSent(f"'{escape(uid)}' is no UID: it cannot be proposed")
    return ObjectHeader("", sop_class, instance, transfer, offset, len(data) - offset)


def _meta(data: bytes, form: Form, is_all: bool) -> tuple[FileMeta | None, int]:
    """Return the File Meta Information and where the dataset begins."""
    is_file = data[128:132] == b"DICM"
    if form == "dataset" or not (is_file or data[:2] == _GROUP_2):
        if form == "file":
            raise NotSent("not a DICOM file: no DICM prefix at byte 128")
        return None, 0
    missing = 0 if is_file else len(_PREAMBLE)  # group 2 without what precedes it: there are some
    try:
        meta, offset = FileMeta.decode(data if is_file else _PREAMBLE + data)
    except ValueError as error:
        if is_all:
            raise NotSent(str(error)) from None
        raise TooShort from None
    if not is_all and len(data) - (offset - missing) < 8:
        raise TooShort
    return meta, offset - missing


def _guess(head: bytes) -> str:
    """Tell a dataset's transfer syntax from its first element, as far as that can be."""
    if len(head) < 8:
        raise NotSent("not a DICOM file: it is too short")
    group = struct.unpack_from("<H", head)[0]
    has_vr = head[4:6].isalpha() and head[4:6].isupper()
    if group <= 0xFF:
        return EXPLICIT_LITTLE if has_vr else IMPLICIT_LITTLE
    if has_vr and not head[0]:
        return EXPLICIT_BIG
    raise NotSent("not a DICOM file: neither a DICM prefix nor a dataset")


def _uids(data: bytes, offset: int, encoding: Encoding, is_all: bool) -> dict[int, bytes]:
    walker = ElementWalker(encoding, _WANTED)
    try:
        done = walker.feed(memoryview(data)[offset:])
        if not done and is_all:
            walker.end()
    except Refused as refusal:
        raise NotSent(refusal.comment) from None
    if not done and not is_all:
        raise TooShort
    return walker.found
