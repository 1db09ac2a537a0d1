"""The head of a DICOM file: preamble and File Meta Information (PS3.10 section 7.1)."""

from __future__ import annotations

import functools
import struct
from dataclasses import dataclass

from aiodicom.wire.dimse import clean_uid
from aiodicom.wire.identity import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME

__all__ = ["FileMeta", "encode_file_meta"]

LONGEST_KNOWN = 512
"""Characters of what is remembered of a head; UIDs and titles as they should be are fewer."""

_SHORT = struct.Struct("<HH2sH")
_LONG = struct.Struct("<HH2sHI")
_U32 = struct.Struct("<I")
_UNTIL_LENGTH = bytes(128) + b"DICM" + _SHORT.pack(2, 0x0000, b"UL", 4)
_LONG_VRS = frozenset({b"OB", b"OW", b"OF", b"SQ", b"UN", b"UT", b"OD", b"OL", b"UC", b"UR"})


@dataclass(frozen=True, slots=True)
class FileMeta:
    """What the File Meta Information of an object says.

    Values are written as they are: a UID that a peer made badly is its business.
    """

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    source_ae_title: str = ""
    implementation_class_uid: str = IMPLEMENTATION_CLASS_UID
    implementation_version_name: str = IMPLEMENTATION_VERSION_NAME

    def encode(self) -> bytes:
        """Return preamble, prefix and group 0002, Explicit VR Little Endian (PS3.10 7.1)."""
        return encode_file_meta(
            self.sop_class_uid,
            self.sop_instance_uid,
            self.transfer_syntax_uid,
            self.source_ae_title,
            self.implementation_class_uid,
            self.implementation_version_name,
        )

    @classmethod
    def decode(cls, data: bytes) -> tuple[FileMeta, int]:
        """Read the head of a file.

        Parameters
        ----------
        data : bytes
            The beginning of the file, or all of it.

        Returns
        -------
        tuple of FileMeta and int
            What it says, and the offset in bytes at which the dataset begins.

        Raises
        ------
        ValueError
            Where there is no DICM prefix, or `data` ends inside group 0002.
        """
        if data[128:132] != b"DICM":
            raise ValueError("no DICM prefix at byte 128: not a DICOM file (PS3.10 7.1)")
        values: dict[int, bytes] = {}
        position = 132
        while data[position : position + 2] == b"\2\0":
            element, value, position = _element(data, position)
            values[element] = value
        uid = {element: clean_uid(values.get(element, b"")) for element in (2, 3, 0x10, 0x12)}
        version, source = (
            values.get(element, b"").decode("latin-1").strip("\0 ") for element in (0x13, 0x16)
        )
        return cls(uid[2], uid[3], uid[0x10], source, uid[0x12], version), position


def encode_file_meta(
    sop_class: str,
    sop_instance: str,
    transfer_syntax: str,
    source: str = "",
    implementation: str = IMPLEMENTATION_CLASS_UID,
    version: str = IMPLEMENTATION_VERSION_NAME,
) -> bytes:
    """Return the head of a file; see `FileMeta.encode`."""
    texts = sop_class, transfer_syntax, source, implementation, version
    is_usual = sum(map(len, texts)) <= LONGEST_KNOWN
    before, after = (_known_around_instance if is_usual else _around_instance)(*texts)
    instance = _text(0x0003, b"UI", sop_instance)
    length = _U32.pack(len(before) + len(instance) + len(after))
    return b"".join((_UNTIL_LENGTH, length, before, instance, after))


def _around_instance(
    sop_class: str, transfer_syntax: str, source: str, implementation: str, version: str
) -> tuple[bytes, bytes]:
    """Return what stands before the instance UID in group 0002, its length apart, and behind."""
    before = _LONG.pack(2, 0x0001, b"OB", 0, 2) + b"\0\1" + _text(0x0002, b"UI", sop_class)
    after = (
        _text(0x0010, b"UI", transfer_syntax)
        + _text(0x0012, b"UI", implementation)
        + _text(0x0013, b"SH", version)
    )
    return before, after + _text(0x0016, b"AE", source) if source else after


# The same for all objects of a series, and more.
_known_around_instance = functools.lru_cache(maxsize=256)(_around_instance)


def _text(element: int, vr: bytes, text: str) -> bytes:
    value = text.encode("latin-1", "replace")
    if len(value) % 2:
        value += b"\0" if vr == b"UI" else b" "
    return _SHORT.pack(2, element, vr, len(value)) + value


def _element(data: bytes, position: int) -> tuple[int, bytes, int]:
    try:
        _, element, vr, length = _SHORT.unpack_from(data, position)
        start = position + _SHORT.size
        if vr in _LONG_VRS:
            length = _LONG.unpack_from(data, position)[4]
            start = position + _LONG.size
    except struct.error:
        raise ValueError("the file ends inside its File Meta Information") from None
    if start + length > len(data):
        raise ValueError("the file ends inside its File Meta Information")
    return element, data[start : start + length], start + length
