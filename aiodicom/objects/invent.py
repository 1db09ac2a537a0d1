"""Objects sent under new identities, which are written into their bytes while they stream.

Only what precedes the last element concerned is read; pixels are not touched. Plain functions
for worker threads.
"""

from __future__ import annotations

import secrets
import tempfile
import threading
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import BinaryIO

from aiodicom.objects.deflate import INFLATED_LIMIT, deflate, inflate
from aiodicom.objects.elements import (
    LONG_VRS,
    LONGEST_SHORT_VALUE,
    UNDEFINED,
    CannotConvert,
    Reader,
    after_value,
    encode_header,
    next_header,
    really_written,
    tag_text,
)
from aiodicom.objects.representations import standard_vr
from aiodicom.objects.source import Piece
from aiodicom.wire.elements import Encoding, encoding_of

__all__ = ["Inventor", "patch_deflated", "patches"]

SOP_INSTANCE_UID = 0x00080018
PATIENT_NAME = 0x00100010
PATIENT_ID = 0x00100020
STUDY_INSTANCE_UID = 0x0020000D
SERIES_INSTANCE_UID = 0x0020000E
STUDY_ID = 0x00200010
SERIES_NUMBER = 0x00200011
INSTANCE_NUMBER = 0x00200013

_Edit = tuple[int, int, bytes]
"""From where to where in the dataset, and what stands there instead."""


class Inventor:
    """Makes up who an object is: instance, series, study and patient, each new after so many.

    An object of an `Inventor` is called once for each object that is sent, from any thread.

    Parameters
    ----------
    images : int
        After how many objects there is a new series.
    series : int
        After how many series there is a new study.
    studies : int
        After how many studies there is a new patient.

    Raises
    ------
    ValueError
        Where one of them is below 1.
    """

    def __init__(self, images: int = 100, series: int = 50, studies: int = 25) -> None:
        if min(images, series, studies) < 1:
            raise ValueError("a series, a study and a patient have at least one of what they hold")
        self._images, self._series, self._studies = images, series, studies
        self._lock = threading.Lock()
        self._count = 0
        self._run = secrets.token_hex(3)  # so that two runs do not have the same patients
        self._study_uid = self._series_uid = b""

    def __call__(self) -> dict[int, bytes]:
        """Return the elements of the next object, by tag, as text that is not padded."""
        with self._lock:
            number = self._count
            self._count += 1
            series, image = divmod(number, self._images)
            study, series_of_study = divmod(series, self._series)
            patient = study // self._studies
            if not image:
                self._series_uid = _new_uid()
                if not series_of_study:
                    self._study_uid = _new_uid()
            patient_id = f"{self._run}_{patient + 1}"
            return {
                SOP_INSTANCE_UID: _new_uid(),
                PATIENT_NAME: f"AIODICOM^TEST_PN_{patient_id}".encode(),
                PATIENT_ID: f"PID_{patient_id}".encode(),
                STUDY_INSTANCE_UID: self._study_uid,
                SERIES_INSTANCE_UID: self._series_uid,
                STUDY_ID: f"SID_{self._run}_{study % 99_999 + 1}".encode(),  # 16 at most: SH
                SERIES_NUMBER: b"%d" % (series_of_study + 1),
                INSTANCE_NUMBER: b"%d" % (image + 1),
            }


def _new_uid() -> bytes:
    return b"2.25.%d" % uuid.uuid4().int  # PS3.5 B.2


def patches(
    file: BinaryIO,
    transfer_syntax_uid: str,
    replacements: Mapping[int, bytes],
    *,
    start: int = 0,
    size: int | None = None,
) -> list[Piece]:
    """Return a dataset with other values, as pieces of its file and of new bytes.

    What is not concerned stays byte for byte; the group lengths of what is are corrected.

    Parameters
    ----------
    file : BinaryIO
        The file that the dataset is in; one can seek in it.
    transfer_syntax_uid : str
        How it is written; not deflated.
    replacements : mapping of int to bytes
        Texts by the tags of top-level elements, which are replaced, or inserted where they
        belong. Padding is added.
    start, size : int, optional
        Where the dataset stands in `file`, in bytes; by default to the end of the file.

    Returns
    -------
    list of Piece
        Offsets are those in `file`.

    Raises
    ------
    CannotConvert
        Where the dataset cannot be followed to the last of these elements.
    """
    encoding = encoding_of(transfer_syntax_uid)
    if encoding is None or encoding.is_deflated:
        raise CannotConvert(f"nothing is known of the elements of {transfer_syntax_uid}")
    reader = Reader(file, start, size)
    edits = _edits(reader, really_written(reader, encoding), replacements)
    return _pieces(edits, start, reader.size)


def patch_deflated(
    source: BinaryIO,
    target: BinaryIO,
    transfer_syntax_uid: str,
    replacements: Mapping[int, bytes],
    *,
    start: int = 0,
    size: int | None = None,
    level: int = 6,
    limit: int = INFLATED_LIMIT,
) -> None:
    """Write a deflated dataset with other values; see `patches` and `convert.convert`.

    Raises
    ------
    CannotConvert
        Where it cannot be inflated, or not be followed to the last of these elements.
    OSError
        Where a file cannot be read or written.
    """
    encoding = encoding_of(transfer_syntax_uid)
    if encoding is None or not encoding.is_deflated:
        raise CannotConvert(f"transfer syntax {transfer_syntax_uid} is not a deflated one")
    with tempfile.TemporaryFile() as inflated:
        inflate(source, start, Reader(source, start, size).size, inflated, limit)
        reader = Reader(inflated)
        pieces = _pieces(_edits(reader, encoding, replacements), 0, reader.size)
        deflate(_bytes_of(reader, pieces), target, level)


def _edits(reader: Reader, encoding: Encoding, replacements: Mapping[int, bytes]) -> list[_Edit]:
    """Return the edits of a dataset, in its order."""
    left = sorted(replacements, reverse=True)
    edits: list[_Edit] = []
    lengths: dict[int, int] = {}  # the group lengths, and where they stand
    grown: dict[int, int] = {}

    def edit(tag: int, begin: int, end: int) -> None:
        element = _element(tag, replacements[tag], encoding)
        edits.append((begin, end, element))
        grown[tag >> 16] = grown.get(tag >> 16, 0) + len(element) - (end - begin)

    position, previous = 0, -1
    while left and position < reader.size:
        begin, header = position, next_header(reader, position, encoding, previous)
        tag = previous = header.tag
        while left and left[-1] < tag:
            edit(left.pop(), begin, begin)
        if not left:
            break
        position = after_value(reader, header, encoding)
        if left[-1] == tag:
            edit(left.pop(), begin, position)
        elif not tag & 0xFFFF and header.length == 4:
            lengths[tag >> 16] = header.position
    for tag in reversed(left):
        edit(tag, reader.size, reader.size)
    edits += _group_lengths(reader, encoding, lengths, grown)
    return sorted(edits, key=lambda one: one[:2])


def _element(tag: int, value: bytes, encoding: Encoding) -> bytes:
    vr = standard_vr(tag).encode()
    if len(value) % 2:
        value += b"\0" if vr in (b"UI", b"OB", b"UN") else b" "  # PS3.5 6.2
    if vr not in LONG_VRS and len(value) > LONGEST_SHORT_VALUE:
        raise ValueError(f"{len(value)} bytes do not fit {tag_text(tag)}")
    return encode_header(tag, vr, len(value), encoding) + value


def _group_lengths(
    reader: Reader, encoding: Encoding, lengths: Mapping[int, int], grown: Mapping[int, int]
) -> Iterator[_Edit]:
    order = "big" if encoding.is_big else "little"
    for group, position in lengths.items():
        if grown.get(group):
            length = int.from_bytes(reader.value(position, 4), order) + grown[group]  # type: ignore[arg-type]
            if 0 <= length < UNDEFINED:  # one that was wrong before stays wrong
                yield position, position + 4, length.to_bytes(4, order)  # type: ignore[arg-type]


def _pieces(edits: Sequence[_Edit], start: int, size: int) -> list[Piece]:
    pieces: list[Piece] = []
    position = 0
    for begin, end, data in edits:
        if begin > position:
            pieces.append((start + position, begin - position))
        pieces.append(data)
        position = end
    if size > position:
        pieces.append((start + position, size - position))
    return pieces


def _bytes_of(reader: Reader, pieces: Sequence[Piece]) -> Iterator[bytes]:
    for piece in pieces:
        if isinstance(piece, bytes):
            yield piece
        else:
            yield from reader.chunks(*piece)
