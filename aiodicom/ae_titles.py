"""AE titles."""

from __future__ import annotations

from aiodicom.wire.pdu import ae_title_field

__all__ = ["check_ae_title"]


def check_ae_title(title: str) -> str:
    """Return an AE title of our own, without padding (PS3.5 6.2, VR AE).

    Raises
    ------
    ValueError
        Where it is empty, longer than 16 characters, or holds a backslash or a control character.
    """
    stripped = title.strip(" ")
    if not stripped or not stripped.isascii() or not stripped.isprintable() or "\\" in stripped:
        raise ValueError(f"{title!r} is no AE title: 1 to 16 printable ASCII characters, no \\")
    ae_title_field(stripped)
    return stripped
