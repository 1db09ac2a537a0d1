"""Transfer syntaxes: names, and the options that propose and prefer them."""

from __future__ import annotations

import pytest
from pydicom.uid import UID

from aiodicom.cli.options import Command, UsageError
from aiodicom.cli.syntaxes import (
    ACCEPT_ALL,
    SYNTAXES,
    fold,
    of_kind,
    preference_options,
    proposal_options,
    transfer_syntax,
)
from aiodicom.wire.negotiation import choose_transfer_syntax, is_standard

ROOT = "1.2.840.10008.1.2"
ELE, EBE, ILE = f"{ROOT}.1", f"{ROOT}.2", ROOT

SENDER = Command("sender", "", {}, (proposal_options(),))
OLD = Command("receiver", "", {}, (preference_options(plus_prefix=False),))
RECEIVER = Command("receiver", "", {}, (preference_options(plus_prefix=True),))

IMAGES = [
    ("s", "lossless", ".4.70"),
    ("y", "jpeg8", ".4.50"),
    ("x", "jpeg12", ".4.51"),
    ("v", "j2k-lossless", ".4.90"),
    ("w", "j2k-lossy", ".4.91"),
    ("t", "jls-lossless", ".4.80"),
    ("u", "jls-lossy", ".4.81"),
    ("r", "rle", ".5"),
    ("d", "deflated", ".1.99"),
]
VIDEOS = [
    ("m", "mpeg2", ".4.100"),
    ("h", "mpeg2-high", ".4.101"),
    ("n", "mpeg4", ".4.102"),
    ("l", "mpeg4-bd", ".4.103"),
    ("2", "mpeg4-2-2d", ".4.104"),
    ("3", "mpeg4-2-3d", ".4.105"),
    ("o", "mpeg4-2-st", ".4.106"),
    ("4", "hevc", ".4.107"),
    ("5", "hevc10", ".4.108"),
]


def proposal(option: str) -> object:
    return SENDER.parse([option])["proposal"]


def preference(option: str) -> object:
    return RECEIVER.parse([option])["preference"]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("-x= --propose-uncompr", ((ELE,), (EBE, ILE))),
        ("-xe --propose-little --request-little", ((ELE,), (EBE, ILE))),
        ("-xb --propose-big --request-big", ((EBE,), (ELE, ILE))),
        ("-xi --propose-implicit --request-implicit", ((ILE,),)),
    ],
)
def test_uncompressed_proposals(options: str, expected: object) -> None:
    for option in options.split():
        assert proposal(option) == expected


@pytest.mark.parametrize(("letter", "word", "tail"), IMAGES)
def test_compressed_proposals_have_the_uncompressed_ones_beside(
    letter: str, word: str, tail: str
) -> None:
    assert proposal(f"-x{letter}") == ((ROOT + tail,), (ELE, EBE, ILE))
    assert proposal(f"--propose-{word}") == proposal(f"-x{letter}")


@pytest.mark.parametrize(("letter", "word", "tail"), VIDEOS)
def test_videos_are_proposed_alone(letter: str, word: str, tail: str) -> None:
    assert proposal(f"-x{letter}") == ((ROOT + tail,),)
    assert proposal(f"--propose-{word}") == proposal(f"-x{letter}")


def test_rightmost_proposal_counts() -> None:
    assert SENDER.parse(["-xs", "-xb", "-xi"])["proposal"] == ((ILE,),)
    assert SENDER.parse(["-xi", "-xr"])["proposal"] == ((f"{ROOT}.5",), (ELE, EBE, ILE))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("-x= +x= --prefer-uncompr", (ELE, EBE, ILE)),
        ("-xe +xe --prefer-little", (ELE, EBE, ILE)),
        ("-xb +xb --prefer-big", (EBE, ELE, ILE)),
        ("-xi +xi --implicit", (ILE,)),
    ],
)
def test_uncompressed_preferences(options: str, expected: object) -> None:
    for option in options.split():
        assert preference(option) == expected
        if not option.startswith("+"):
            assert OLD.parse([option])["preference"] == expected


@pytest.mark.parametrize(("letter", "word", "tail"), IMAGES + VIDEOS)
def test_compressed_preferences(letter: str, word: str, tail: str) -> None:
    assert preference(f"+x{letter}") == (ROOT + tail, ELE, EBE, ILE)
    assert preference(f"--prefer-{word}") == preference(f"+x{letter}")


@pytest.mark.parametrize("option", ["+x=", "+xe", "+xs", "--prefer-lossless", "+xa"])
def test_dcmtks_preferences_are_storescps_only(option: str) -> None:
    with pytest.raises(UsageError, match="unknown option"):
        OLD.parse([option])


@pytest.mark.parametrize("option", ["-xs", "-xa"])
def test_minus_is_not_plus(option: str) -> None:
    with pytest.raises(UsageError, match="unknown option"):
        RECEIVER.parse([option])


def test_all_are_accepted_in_dcmtks_order() -> None:
    assert preference("+xa") == preference("--accept-all") == ACCEPT_ALL
    assert len(ACCEPT_ALL) == len(set(ACCEPT_ALL)) == 36
    assert ACCEPT_ALL[:2] == (f"{ROOT}.4.91", f"{ROOT}.4.90")
    assert ACCEPT_ALL[-3:] == (ELE, EBE, ILE)


def test_another_preference_after_all_replaces_it() -> None:
    assert RECEIVER.parse(["+xa", "+xi"])["preference"] == (ILE,)


@pytest.mark.parametrize(
    ("name", "tail"),
    [
        ("ExplicitVRLittleEndian", ".1"),
        ("LittleEndianExplicit", ".1"),
        ("LocalEndianExplicit", ".1"),
        ("OppositeEndianExplicit", ".2"),
        ("LittleEndianImplicit", ""),
        ("=LittleEndianImplicit", ""),
        ("littleendianimplicit ", ""),
        ("JPEGLossless:Non-hierarchical-1stOrderPrediction", ".4.70"),
        ("JPEGLossless", ".4.57"),
        ("JPEGExtended:Process2+4", ".4.51"),
        ("JPEG2000", ".4.91"),
        ("JPEG2000LosslessOnly", ".4.90"),
        ("JPEG2000Lossless", ".4.90"),
        ("MPEG2MainProfile@MainLevel", ".4.100"),
        ("HEVCMain10Profile/Level5.1", ".4.108"),
        ("DeflatedLittleEndianExplicit", ".1.99"),
        ("DeflatedExplicitVRLittleEndian", ".1.99"),
        (f"{ROOT}.4.70", ".4.70"),
    ],
)
def test_names(name: str, tail: str) -> None:
    assert transfer_syntax(name) == ROOT + tail


def test_uid_of_ones_own() -> None:
    assert transfer_syntax("1.2.3") == "1.2.3"


@pytest.mark.parametrize("name", ["", "Nothing", "CTImageStorage", "1.2.3 4", "1" * 65])
def test_what_is_no_transfer_syntax(name: str) -> None:
    with pytest.raises(ValueError, match="is no transfer syntax: write its UID, or its keyword"):
        transfer_syntax(name)


def test_no_name_is_two_transfer_syntaxes() -> None:
    names = [fold(name) for syntax in SYNTAXES for name in syntax.names]
    assert len(names) == len(set(names))
    assert len(SYNTAXES) == len({syntax.uid for syntax in SYNTAXES})


def test_table_agrees_with_pydicoms() -> None:
    known = [syntax for syntax in SYNTAXES if UID(syntax.uid).keyword]
    assert len(known) > 50
    for syntax in known:
        uid = UID(syntax.uid)
        assert fold(uid.keyword) == fold(syntax.names[0])
        assert uid.is_transfer_syntax
        if syntax.kind == "deflated":
            assert uid.is_deflated
        if syntax.kind in ("lossless", "lossy", "video"):
            assert uid.is_compressed


def test_kinds() -> None:
    assert of_kind("uncompressed") == (ELE, EBE, ILE)
    assert of_kind("deflated", "encapsulated") == (f"{ROOT}.1.99", f"{ROOT}.1.98")
    assert set(of_kind("lossless")).isdisjoint(of_kind("lossy", "video"))


def test_uncompressed_ones_are_those_of_negotiation() -> None:
    assert all(is_standard(uid) for uid in ACCEPT_ALL)
    assert choose_transfer_syntax([ILE, EBE, ELE]) == of_kind("uncompressed")[0]
