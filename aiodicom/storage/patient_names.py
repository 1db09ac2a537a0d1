"""A patient's name as a part of a folder's: Latin letters, digits and underscores."""

from __future__ import annotations

import re

__all__ = ["safe_patient_name"]

MAXIMUM_LENGTH = 100
"""Characters; what is longer is cut."""

ANONYMOUS = "ANONYMOUS"

# PS3.3 C.12.1.1.2: the defined terms, by their numbers; ISO_IR and ISO 2022 IR alike.
_CODECS = {
    "6": "ascii",
    "13": "shift_jis",
    "58": "gb2312",
    "87": "iso2022_jp",
    "100": "latin-1",
    "101": "iso8859-2",
    "109": "iso8859-3",
    "110": "iso8859-4",
    "126": "iso8859-7",
    "127": "iso8859-6",
    "138": "iso8859-8",
    "144": "iso8859-5",
    "148": "iso8859-9",
    "149": "euc_kr",
    "159": "iso2022_jp_2",
    "166": "tis-620",
    "192": "utf-8",
    "203": "iso8859-15",
}
_NAMED_CODECS = {"GB18030": "gb18030", "GBK": "gbk"}

# What is written for these in German, and letters that are not composed of another and a mark.
_LETTERS = str.maketrans(
    {
        "Ä": "Ae", "Ö": "Oe", "Ü": "Ue", "ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "ẞ": "SS",
        "Æ": "A", "æ": "a", "Œ": "Oe", "œ": "oe", "Ø": "O", "ø": "o", "Ð": "D", "ð": "d",
        "Đ": "D", "đ": "d", "Ł": "L", "ł": "l", "Ħ": "H", "ħ": "h",
    }
)  # fmt: skip

_ESCAPES = re.compile(rb"\x1b[ -/]*[0-~]")


def safe_patient_name(value: bytes, character_set: bytes) -> str:
    """Return a name for a folder.

    Parameters
    ----------
    value : bytes
        Patient's Name (0010,0010) as encoded (PS3.5 6.2.1).
    character_set : bytes
        Specific Character Set (0008,0005) as encoded.

    Returns
    -------
    str
        Its first component group, in ``A-Z a-z 0-9 _``, such as ``Mueller_Juergen``;
        ``ANONYMOUS`` where there is none.
    """
    text = _decoded(value, character_set).rstrip(" \0")
    text = text.partition("=")[0].rstrip() or text
    return _latin(text[: 4 * MAXIMUM_LENGTH])[:MAXIMUM_LENGTH] or ANONYMOUS


def _decoded(value: bytes, character_set: bytes) -> str:
    codec = _codec(character_set)
    if codec == "ascii":
        # Nobody says ASCII who has other letters, and many have them all the same.
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError:
            codec = "latin-1"
    if not codec.startswith("iso2022"):
        value = _ESCAPES.sub(b"", value)
    return value.decode(codec, "replace")


def _codec(character_set: bytes) -> str:
    term = character_set.split(b"\\")[0].strip(b" \0").decode("latin-1").upper()
    if term in _NAMED_CODECS:
        return _NAMED_CODECS[term]
    return _CODECS.get(re.split("[_ ]", term)[-1], "ascii")


def _latin(text: str) -> str:
    import unicodedata  # a table of some hundred kB

    decomposed = unicodedata.normalize(
        "NFKD", unicodedata.normalize("NFC", text).translate(_LETTERS)
    )
    # Only now: the standard's compatible forms of other characters can be slashes and dots.
    return "".join(
        c if c.isascii() and c.isalnum() else "_"
        for c in decomposed
        if not unicodedata.combining(c)
    )
