"""Leading attributes of a dataset that is still arriving, of which nothing is taken."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Collection, MutableSequence
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING

from aiodicom.dataset import DatasetStream
from aiodicom.errors import Refused
from aiodicom.reading.libraries import load_pydicom
from aiodicom.wire.elements import (
    MAXIMUM_VALUE_LENGTH,
    ElementWalker,
    Encoding,
    encoding_of,
)

if TYPE_CHECKING:
    from pydicom import Dataset
    from pydicom.dataelem import RawDataElement

__all__ = ["PEEKED", "peek"]

PEEKED = 1 << 18
"""Bytes of a dataset that are looked at: in nearly all, whatever precedes the pixel data."""

STEP = 1 << 14
"""Bytes that are looked at together: at most some 2,000 elements, or two milliseconds."""

_SPECIFIC_CHARACTER_SET = 0x00080005
_PIXEL_REPRESENTATION = 0x00280103
_FIRST, _LAST = 0x00080000, 0x7FDFFFFF  # before it commands and File Meta Information, then pixels


async def peek(
    dataset: DatasetStream,
    transfer_syntax_uid: str,
    attributes: Collection[str | int],
    limit: int = PEEKED,
) -> Dataset:
    """Wait for some attributes of a dataset; see `StoreRequest.peek`."""
    dataset.check_unread()
    await load_pydicom()
    asked = {_tag(attribute) for attribute in attributes}
    if not asked:
        raise ValueError("nothing to look for: name attributes")
    ambiguous = {tag for tag in asked if _is_ambiguous(tag)}
    encoding = encoding_of(transfer_syntax_uid)
    if encoding is None:  # how a private one is written nobody knows
        return _decoded({}, {}, Encoding(is_explicit=True), asked, ambiguous)
    # What values mean may depend on these.
    more = {_SPECIFIC_CHARACTER_SET, *({_PIXEL_REPRESENTATION} if ambiguous else ())}
    walker = ElementWalker(encoding, asked | more, limit)  # none is shorter than 8 bytes
    await _walk(dataset, walker, limit)
    return _decoded(walker.found, walker.vrs, encoding, asked, ambiguous)


async def _walk(dataset: DatasetStream, walker: ElementWalker, limit: int) -> None:
    """Go on until all is found, or nothing more can be; what cannot be read is not there."""
    offset = 0
    while offset < limit:
        step = await dataset.ahead(offset, min(STEP, limit - offset))
        offset += len(step)
        try:
            if not step or walker.feed(step):
                return
        except Refused:
            return
        await asyncio.sleep(0)  # where much is there already, others have their turn


def _tag(attribute: str | int) -> int:
    """Return the tag of what can be found at the top level of a dataset, before its pixels."""
    from pydicom.datadict import dictionary_has_tag, dictionary_VR, tag_for_keyword

    tag = tag_for_keyword(attribute) if isinstance(attribute, str) else int(attribute)
    if tag is None:
        raise ValueError(f"{attribute!r} is no keyword of an attribute (PS3.6)")
    name = attribute if isinstance(attribute, str) else f"0x{tag:08X}"
    if not _FIRST <= tag <= _LAST:
        raise ValueError(f"{name} does not precede the pixels of a dataset")
    if dictionary_has_tag(tag) and dictionary_VR(tag) == "SQ":
        raise ValueError(f"{name} is a sequence: decode(pixels=False) has it")
    return tag


def _is_ambiguous(tag: int) -> bool:
    """Tell whether the VR of an attribute depends on others, such as ``US or SS``."""
    from pydicom.datadict import dictionary_has_tag, dictionary_VR

    return dictionary_has_tag(tag) and " or " in dictionary_VR(tag)


def _decoded(
    found: dict[int, bytes],
    vrs: dict[int, bytes],
    encoding: Encoding,
    asked: AbstractSet[int],
    ambiguous: AbstractSet[int],
) -> Dataset:
    """Make pydicom's of encoded values; it decodes each one when it is looked at."""
    from pydicom import Dataset
    from pydicom.dataelem import RawDataElement
    from pydicom.tag import BaseTag

    raw = {
        tag: RawDataElement(
            BaseTag(tag),
            vrs[tag].decode("ascii") or None,
            len(value),
            value,
            0,
            not vrs[tag],
            not encoding.is_big,
        )
        for tag, value in sorted(found.items())
        if len(value) < MAXIMUM_VALUE_LENGTH and vrs[tag] != b"SQ"  # longer ones are cut
    }
    is_implicit = b"" in vrs.values() or not encoding.is_explicit
    dataset = Dataset({element.tag: element for element in raw.values()})
    characters = _character_sets(raw.get(_SPECIFIC_CHARACTER_SET))
    dataset.set_original_encoding(is_implicit, not encoding.is_big, characters)
    for tag in ambiguous & raw.keys():
        # What its VR depends on is not there, or its value is none: then it stays as it came.
        with contextlib.suppress(Exception):
            dataset[tag]
    for tag in raw.keys() - asked:
        del dataset[tag]
    return dataset


def _character_sets(element: RawDataElement | None) -> str | MutableSequence[str]:
    """Return Python's encodings for Specific Character Set (PS3.3 C.12.1.1.2)."""
    from pydicom.charset import convert_encodings, default_encoding
    from pydicom.dataelem import convert_raw_data_element

    if element is None or element.VR not in (None, "CS"):
        return default_encoding
    try:
        return convert_encodings(convert_raw_data_element(element).value)
    except Exception:  # a peer's text, which names no encoding
        return default_encoding
