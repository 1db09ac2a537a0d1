"""Transfer syntaxes: their names in configuration files, and the options that speak of them."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from aiodicom.cli.options import Group, Option
from aiodicom.describe import escape
from aiodicom.wire.negotiation import UNCOMPRESSED

__all__ = [
    "ACCEPT_ALL",
    "SYNTAXES",
    "Syntax",
    "fold",
    "of_kind",
    "preference_options",
    "proposal_options",
    "transfer_syntax",
    "uid_of",
]

_ELE, _EBE, _ILE = UNCOMPRESSED

Kind = Literal["uncompressed", "deflated", "encapsulated", "lossless", "lossy", "video", "other"]


@dataclass(frozen=True, slots=True)
class Syntax:
    """A transfer syntax.

    Parameters
    ----------
    uid : str
        Its UID (PS3.6 table A-1).
    kind : str
        How it is compressed; what may be lossy counts as lossy. "other" is what no file is
        written in.
    names : tuple of str
        What configuration files call it: the standard's keyword, then DCMTK's names.
    letter, word : str
        What the options that propose or prefer it end in, as ``s`` and ``lossless``.
    what : str
        What their help calls it.
    """

    uid: str
    kind: Kind
    names: tuple[str, ...]
    letter: str = ""
    word: str = ""
    what: str = ""


def _s(tail: str, kind: Kind, names: str, option: str = "", what: str = "") -> Syntax:
    letter, _, word = option.partition(" ")
    return Syntax("1.2.840.10008.1.2" + tail, kind, tuple(names.split()), letter, word, what)


# The order is that of DCMTK's options. "Local" is little endian: Python runs on nothing else
# that has DICOM to send.
SYNTAXES = (
    _s(".1", "uncompressed", "ExplicitVRLittleEndian LittleEndianExplicit LocalEndianExplicit"),
    _s(".2", "uncompressed", "ExplicitVRBigEndian BigEndianExplicit OppositeEndianExplicit"),
    _s("", "uncompressed", "ImplicitVRLittleEndian LittleEndianImplicit"),
    _s(".4.70", "lossless", "JPEGLosslessSV1 JPEGLossless:Non-hierarchical-1stOrderPrediction",
       "s lossless", "JPEG lossless"),
    _s(".4.50", "lossy", "JPEGBaseline8Bit JPEGBaseline", "y jpeg8", "JPEG lossy of 8 bits"),
    _s(".4.51", "lossy", "JPEGExtended12Bit JPEGExtended:Process2+4",
       "x jpeg12", "JPEG lossy of 12 bits"),
    _s(".4.90", "lossless", "JPEG2000Lossless JPEG2000LosslessOnly",
       "v j2k-lossless", "JPEG 2000 lossless"),
    _s(".4.91", "lossy", "JPEG2000", "w j2k-lossy", "lossy JPEG 2000"),
    _s(".4.80", "lossless", "JPEGLSLossless", "t jls-lossless", "JPEG-LS lossless"),
    _s(".4.81", "lossy", "JPEGLSNearLossless JPEGLSLossy", "u jls-lossy", "JPEG-LS near-lossless"),
    _s(".4.100", "video", "MPEG2MPML MPEG2MainProfile@MainLevel",
       "m mpeg2", "MPEG-2 main profile, main level"),
    _s(".4.101", "video", "MPEG2MPHL MPEG2MainProfile@HighLevel",
       "h mpeg2-high", "MPEG-2 main profile, high level"),
    _s(".4.102", "video", "MPEG4HP41 MPEG4HighProfile/Level4.1",
       "n mpeg4", "MPEG-4 high profile, level 4.1"),
    _s(".4.103", "video", "MPEG4HP41BD MPEG4BDcompatibleHighProfile/Level4.1",
       "l mpeg4-bd", "MPEG-4 BD-compatible, level 4.1"),
    _s(".4.104", "video", "MPEG4HP422D MPEG4HighProfile/Level4.2For2DVideo",
       "2 mpeg4-2-2d", "MPEG-4 high profile, level 4.2, 2D"),
    _s(".4.105", "video", "MPEG4HP423D MPEG4HighProfile/Level4.2For3DVideo",
       "3 mpeg4-2-3d", "MPEG-4 high profile, level 4.2, 3D"),
    _s(".4.106", "video", "MPEG4HP42STEREO MPEG4StereoHighProfile/Level4.2",
       "o mpeg4-2-st", "MPEG-4 stereo high profile, level 4.2"),
    _s(".4.107", "video", "HEVCMP51 HEVCMainProfile/Level5.1",
       "4 hevc", "HEVC main profile, level 5.1"),
    _s(".4.108", "video", "HEVCM10P51 HEVCMain10Profile/Level5.1",
       "5 hevc10", "HEVC main 10 profile, level 5.1"),
    _s(".5", "lossless", "RLELossless", "r rle", "RLE"),
    _s(".1.99", "deflated", "DeflatedExplicitVRLittleEndian DeflatedLittleEndianExplicit",
       "d deflated", "deflated explicit VR little endian"),
    _s(".8.1", "lossless", "DeflatedImageFrameCompression"),
    _s(".1.98", "encapsulated", "EncapsulatedUncompressedExplicitVRLittleEndian "
       "EncapsulatedUncompressed"),
    _s(".4.52", "lossy", "JPEGExtended35 JPEGExtended:Process3+5"),
    _s(".4.53", "lossy", "JPEGSpectralSelectionNonHierarchical68 "
       "JPEGSpectralSelection:Non-hierarchical:Process6+8"),
    _s(".4.54", "lossy", "JPEGSpectralSelectionNonHierarchical79 "
       "JPEGSpectralSelection:Non-hierarchical:Process7+9"),
    _s(".4.55", "lossy", "JPEGFullProgressionNonHierarchical1012 "
       "JPEGFullProgression:Non-hierarchical:Process10+12"),
    _s(".4.56", "lossy", "JPEGFullProgressionNonHierarchical1113 "
       "JPEGFullProgression:Non-hierarchical:Process11+13"),
    _s(".4.57", "lossless", "JPEGLossless JPEGLossless:Non-hierarchical:Process14"),
    _s(".4.58", "lossless", "JPEGLosslessNonHierarchical15 "
       "JPEGLossless:Non-hierarchical:Process15"),
    _s(".4.59", "lossy", "JPEGExtendedHierarchical1618 JPEGExtended:Hierarchical:Process16+18"),
    _s(".4.60", "lossy", "JPEGExtendedHierarchical1719 JPEGExtended:Hierarchical:Process17+19"),
    _s(".4.61", "lossy", "JPEGSpectralSelectionHierarchical2022 "
       "JPEGSpectralSelection:Hierarchical:Process20+22"),
    _s(".4.62", "lossy", "JPEGSpectralSelectionHierarchical2123 "
       "JPEGSpectralSelection:Hierarchical:Process21+23"),
    _s(".4.63", "lossy", "JPEGFullProgressionHierarchical2426 "
       "JPEGFullProgression:Hierarchical:Process24+26"),
    _s(".4.64", "lossy", "JPEGFullProgressionHierarchical2527 "
       "JPEGFullProgression:Hierarchical:Process25+27"),
    _s(".4.65", "lossless", "JPEGLosslessHierarchical28 JPEGLossless:Hierarchical:Process28"),
    _s(".4.66", "lossless", "JPEGLosslessHierarchical29 JPEGLossless:Hierarchical:Process29"),
    _s(".4.92", "lossless", "JPEG2000MCLossless JPEG2000MulticomponentLosslessOnly"),
    _s(".4.93", "lossy", "JPEG2000MC JPEG2000Multicomponent"),
    _s(".4.100.1", "video", "MPEG2MPMLF FragmentableMPEG2MainProfile@MainLevel"),
    _s(".4.101.1", "video", "MPEG2MPHLF FragmentableMPEG2MainProfile@HighLevel"),
    _s(".4.102.1", "video", "MPEG4HP41F FragmentableMPEG4HighProfile/Level4.1"),
    _s(".4.103.1", "video", "MPEG4HP41BDF FragmentableMPEG4BDcompatibleHighProfile/Level4.1"),
    _s(".4.104.1", "video", "MPEG4HP422DF FragmentableMPEG4HighProfile/Level4.2For2DVideo"),
    _s(".4.105.1", "video", "MPEG4HP423DF FragmentableMPEG4HighProfile/Level4.2For3DVideo"),
    _s(".4.106.1", "video", "MPEG4HP42STEREOF FragmentableMPEG4StereoHighProfile/Level4.2"),
    _s(".4.201", "lossless", "HTJ2KLossless HighThroughputJPEG2000LosslessOnly"),
    _s(".4.202", "lossless", "HTJ2KLosslessRPCL HighThroughputJPEG2000RPCLLosslessOnly"),
    _s(".4.203", "lossy", "HTJ2K HighThroughputJPEG2000"),
    _s(".4.110", "lossless", "JPEGXLLossless"),
    _s(".4.111", "lossy", "JPEGXLJPEGRecompression"),
    _s(".4.112", "lossy", "JPEGXL"),
    _s(".4.94", "other", "JPIPReferenced"),
    _s(".4.95", "other", "JPIPReferencedDeflate"),
    _s(".4.204", "other", "JPIPHTJ2KReferenced"),
    _s(".4.205", "other", "JPIPHTJ2KReferencedDeflate"),
    _s(".6.1", "other", "RFC2557MIMEEncapsulation"),
    _s(".6.2", "other", "XMLEncoding"),
    _s(".7.1", "other", "SMPTEST2110-20:UncompressedProgressiveActiveVideo"),
    _s(".7.2", "other", "SMPTEST2110-20:UncompressedInterlacedActiveVideo"),
    _s(".7.3", "other", "SMPTEST2110-30:PCMDigitalAudio"),
    Syntax("1.2.840.113619.5.2", "other",
           ("PrivateGELittleEndianImplicitWithBigEndianPixelData",)),
)  # fmt: skip

ACCEPT_ALL = (
    tuple(
        "1.2.840.10008.1.2" + tail
        for tail in """
    .4.91 .4.90 .4.51 .4.50 .4.70 .4.81 .4.80 .5 .4.100 .4.100.1 .4.101 .4.101.1 .4.102 .4.102.1
    .4.103 .4.103.1 .4.104 .4.104.1 .4.105 .4.105.1 .4.106 .4.106.1 .4.107 .4.108 .4.201 .4.202
    .4.203 .4.110 .4.111 .4.112 .8.1 .1.99 .1.98
    """.split()
    )
    + UNCOMPRESSED
)
"""What ``--accept-all`` prefers, first to last: DCMTK 3.7's order, lossy JPEG 2000 first."""


def fold(name: str) -> str:
    """Return a name without what people write differently: case and punctuation."""
    return "".join(c for c in name if c.isalnum()).lower()


@functools.cache
def _by_name() -> dict[str, str]:
    return {fold(name): syntax.uid for syntax in SYNTAXES for name in syntax.names}


def uid_of(text: str, find: Callable[[str], str | None], what: str) -> str:
    """Return the UID that a configuration file writes as such, or by a name.

    Raises
    ------
    ValueError
        Where it is no UID, and `find` knows no such name.
    """
    name = text.strip().removeprefix("=")
    uid = name if re.fullmatch(r"[0-9.]{1,64}", name) else find(fold(name))
    if uid is None:
        raise ValueError(f'"{escape(name)}" is no {what}: write its UID, or its keyword in PS3.6')
    return uid


def transfer_syntax(text: str) -> str:
    """Return the UID of a transfer syntax that a file names; raise `ValueError` where none is."""
    return uid_of(text, _by_name().get, "transfer syntax")


def of_kind(*kinds: Kind) -> tuple[str, ...]:
    """Return the UIDs of all transfer syntaxes of some kinds, kind after kind."""
    return tuple(s.uid for kind in kinds for s in SYNTAXES if s.kind == kind)


def proposal_options() -> Group:
    """Return a sender's options for what it proposes.

    The setting is ``proposal``: for each presentation context of a SOP class the transfer
    syntaxes that are proposed in it.
    """
    little = ((_ELE,), (_EBE, _ILE))
    uncompressed = (
        (("-x=", "--propose-uncompr"),
         "all uncompressed, explicit VR in local byte order first (default)", little),
        (("-xe", "--request-little", "--propose-little"),
         "all uncompressed, explicit VR little endian first", little),
        (("-xb", "--request-big", "--propose-big"),
         "all uncompressed, explicit VR big endian first", ((_EBE,), (_ELE, _ILE))),
        (("-xi", "--request-implicit", "--propose-implicit"),
         "implicit VR little endian only", ((_ILE,),)),
    )  # fmt: skip
    options = [
        Option(names, "proposal", f"propose {what}", value=value)
        for names, what, value in uncompressed
    ]
    for syntax in _with_options():
        names = (f"-x{syntax.letter}", f"--propose-{syntax.word}")
        if syntax.kind == "video":  # there is no uncompressed form to fall back to
            only = f"propose {syntax.what} only"
            options.append(Option(names, "proposal", only, value=((syntax.uid,),)))
        else:
            both = f"propose {syntax.what}, and all uncompressed"
            options.append(Option(names, "proposal", both, value=((syntax.uid,), UNCOMPRESSED)))
    return Group("proposed transfer syntaxes", tuple(options))


def preference_options(plus_prefix: bool) -> Group:
    """Return a receiver's options for what it prefers.

    The setting is ``preference``: transfer syntaxes, the preferred one first, as DCMTK's storescp
    orders them; others are not accepted.

    Parameters
    ----------
    plus_prefix : bool
        Whether DCMTK's names of these options, ``+xe``, and its further ones are taken as well.
    """
    big, little = (_EBE, _ELE, _ILE), UNCOMPRESSED
    uncompressed = (
        ("x=", "prefer-uncompr", "prefer explicit VR in local byte order", little),
        ("xe", "prefer-little", "prefer explicit VR little endian", little),
        ("xb", "prefer-big", "prefer explicit VR big endian", big),
        ("xi", "implicit", "accept implicit VR little endian only", (_ILE,)),
    )
    options = [
        Option((f"-{x}", *((f"+{x}",) if plus_prefix else ()), f"--{word}"),
               "preference", text, value=value)
        for x, word, text, value in uncompressed
    ]  # fmt: skip
    if plus_prefix:
        for syntax in _with_options():
            names = (f"+x{syntax.letter}", f"--prefer-{syntax.word}")
            value = (syntax.uid, *UNCOMPRESSED)
            options.append(Option(names, "preference", f"prefer {syntax.what}", value=value))
        text = "accept all, in DCMTK's order: JPEG 2000 first, also where it is lossy"
        options.append(Option(("+xa", "--accept-all"), "preference", text, value=ACCEPT_ALL))
    return Group("preferred transfer syntaxes", tuple(options))


def _with_options() -> Iterator[Syntax]:
    return (syntax for syntax in SYNTAXES if syntax.letter)
