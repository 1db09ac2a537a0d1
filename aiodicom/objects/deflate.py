"""Deflated Explicit VR Little Endian (PS3.5 A.5): inflating and deflating, file to file."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable
from typing import BinaryIO

from aiodicom.objects.elements import CHUNK, CannotConvert

__all__ = ["INFLATED_LIMIT", "deflate", "inflate"]

INFLATED_LIMIT = 16 << 30
"""Bytes that a dataset may inflate to: a small file can make an immense one."""


_TRAILER = struct.Struct("<II")


def inflate(source: BinaryIO, start: int, size: int, target: BinaryIO, limit: int) -> None:
    """Inflate a dataset.

    Parameters
    ----------
    source : BinaryIO
        The file it is in.
    start, size : int
        Where it stands there, in bytes.
    target : BinaryIO
        Takes the inflated bytes.
    limit : int
        How many these may be.

    Raises
    ------
    CannotConvert
        Where it cannot be inflated to its end, something follows it, or `limit` is passed.
    """
    inflater = zlib.decompressobj(wbits=-15)
    source.seek(start)
    made = check = 0
    while size and not inflater.eof:
        data = source.read(min(CHUNK, size))
        if not data:
            raise CannotConvert("the file is shorter than it was")
        size -= len(data)
        is_more = True
        while is_more:
            try:
                inflated = inflater.decompress(data, CHUNK)
            except zlib.error:
                raise CannotConvert("it cannot be inflated") from None
            made += len(inflated)
            if made > limit:
                raise CannotConvert(f"it inflates to more than {limit} bytes")
            check = zlib.crc32(inflated, check)
            target.write(inflated)
            data = inflater.unconsumed_tail
            # A full step may have more behind it even where all of `data` is taken.
            is_more = not inflater.eof and (bool(data) or len(inflated) == CHUNK)
    rest = inflater.unused_data + source.read(min(size, _TRAILER.size + 2))
    if not inflater.eof:
        raise CannotConvert("its deflated bytes end too early")
    # Some writers append what ends a gzip file.
    rest = rest.removeprefix(_TRAILER.pack(check, made & 0xFFFFFFFF))
    if rest not in (b"", b"\0"):  # PS3.5 A.5: one NUL makes the length even
        raise CannotConvert("something follows its deflated bytes")


def deflate(chunks: Iterable[bytes], target: BinaryIO, level: int) -> None:
    """Deflate a dataset, padded to an even length.

    Parameters
    ----------
    chunks : iterable of bytes
        The dataset.
    target : BinaryIO
        Takes the deflated bytes.
    level : int
        0 (not compressed) to 9 (best).
    """
    deflater = zlib.compressobj(level, wbits=-15)
    made = sum(target.write(deflater.compress(chunk)) for chunk in chunks)
    made += target.write(deflater.flush())
    if made % 2:
        target.write(b"\0")
