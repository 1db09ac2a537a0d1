"""What can be agreed on: SOP classes and transfer syntaxes, by number, and their names in PS3.6."""

from __future__ import annotations

from aiodicom.cli.syntaxes import SYNTAXES
from aiodicom.describe import uid_name
from aiodicom.storage.layout import PREFIXES

__all__ = ["STORAGE_CLASSES", "TRANSFER_SYNTAXES", "in_order", "name_of"]

_STORAGE = "1.2.840.10008.5.1.4.1.1."

# What not every release of pydicom that will do has; and they are to be called the same with all.
_NEWER = {
    **{
        _STORAGE + tail: f"{name} Storage"
        for tail, name in {
            "9.100.1": "Waveform Presentation State",
            "9.100.2": "Waveform Acquisition Presentation State",
            "66.7": "Label Map Segmentation",
            "66.8": "Height Map Segmentation",
            "601.3": "Thermography Image",
            "601.4": "Thermography Multi-frame Image",
            "601.5": "Ultrasound Waveform",
        }.items()
    },
    "1.2.840.10008.1.2.4.110": "JPEG XL Lossless",
    "1.2.840.10008.1.2.4.111": "JPEG XL JPEG Recompression",
    "1.2.840.10008.1.2.4.112": "JPEG XL",
    "1.2.840.10008.1.2.8.1": "Deflated Image Frame Compression",
    "1.2.840.113619.5.2": "Private GE Little Endian Implicit with Big Endian Pixel Data",
}


def in_order(uid: str) -> tuple[int, ...]:
    """Return what sorts UIDs by their numbers."""
    return tuple(int(part) for part in uid.split(".") if part.isdecimal())


STORAGE_CLASSES = tuple(sorted(PREFIXES, key=in_order))
"""The storage SOP classes that are known by name; others are served as well."""

TRANSFER_SYNTAXES = tuple(syntax.uid for syntax in SYNTAXES)
"""Those that are known by name."""


def name_of(uid: str) -> str:
    """Return a UID's name in PS3.6, or the UID itself where it has none."""
    return _NEWER.get(uid) or uid_name(uid)
