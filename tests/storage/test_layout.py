"""File names: as DCMTK's users know them, and safe for any UID whatsoever."""

from __future__ import annotations

import hashlib
import re
import string
from pathlib import PurePosixPath
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aiodicom.storage.layout import MAXIMUM_NAME, PREFIXES, default_name, safe_uid
from tests.peer import CT

UIDS = st.one_of(
    st.text(st.characters(max_codepoint=255)),  # all that a command set can hold
    st.text("0123456789.", max_size=64),
    st.text("0123456789.%/\\~- aAbBfF\0", max_size=400),
    st.text(st.characters(exclude_categories=["Cs"]), min_size=100, max_size=400),
)


def unquoted(name: str) -> str:
    """The UID that would have this name if it were short."""
    data = re.sub(r"%(..)", lambda match: chr(int(match[1], 16)), name)
    return data.encode("latin-1").decode("utf-8", "replace")


@pytest.mark.parametrize(
    ("sop_class_uid", "name"),
    [
        (CT, "CT.1.2.3"),
        ("1.2.840.10008.5.1.4.1.1.4", "MR.1.2.3"),
        ("1.2.840.10008.5.1.4.1.1.7", "SC.1.2.3"),
        ("1.2.840.10008.5.1.4.1.1.481.3", "RS.1.2.3"),
        ("1.2.840.10008.5.1.4.1.1.88.22", "SRe.1.2.3"),
        ("1.2.840.10008.5.1.1.27", "SP.1.2.3"),  # DCMTK 3.6.7 and 3.7.0 agree on it
        ("1.2.840.10008.5.1.4.1.1.1.9.9", "UNKNOWN.1.2.3"),
        ("1.3.12.2.1107.5.9.1", "UNKNOWN.1.2.3"),
        ("", "UNKNOWN.1.2.3"),
    ],
)
def test_name_is_the_prefix_of_the_class_and_the_instance(sop_class_uid: str, name: str) -> None:
    assert default_name(sop_class_uid, "1.2.3") == name


def test_there_is_a_prefix_for_every_class_that_dcmtk_has_one_for() -> None:
    listing = "".join(f"{uid} {prefix}\n" for uid, prefix in sorted(PREFIXES.items()))
    assert len(PREFIXES) == 211
    # Of "UID PREFIX" lines: DCMTK 3.7.0's prefixes, and 3.6.7's where it has none any more.
    assert hashlib.sha256(listing.encode()).hexdigest() == (
        "87e897d4f46a43efe3265092b026777079e5550be80f4c53b3f0929229eaa07a"
    )


def test_prefixes_are_letters_that_any_file_system_takes() -> None:
    assert all(re.fullmatch(r"[A-Z][A-Za-z0-9_]{1,4}", prefix) for prefix in PREFIXES.values())


def test_ordinary_uid_is_its_own_name() -> None:
    uid = "1.2.826.0.1.3680043.8.498." + "9" * 38
    assert safe_uid(uid) == uid


def test_what_is_no_uids_is_quoted_byte_by_byte() -> None:
    assert safe_uid("1.2/A%\xe9") == "1.2%2F%41%25%C3%A9"


@pytest.mark.parametrize("uid", ["../../etc/passwd", "/etc/passwd", "..", ".", "a\\b", "a\0b", ""])
def test_name_stays_in_the_folder(uid: str) -> None:
    path = PurePosixPath("/received", default_name(CT, uid))
    assert path.parent == PurePosixPath("/received")
    assert path.name.startswith("CT.")
    assert "\0" not in path.name


@given(uid=UIDS)
def test_name_holds_nothing_but_harmless_characters(uid: str) -> None:
    harmless = set(string.digits + string.ascii_letters + ".%-")
    assert set(safe_uid(uid)) <= harmless


@given(uid=UIDS)
def test_name_is_never_too_long_for_a_file_system(uid: str) -> None:
    assert len(safe_uid(uid)) <= MAXIMUM_NAME
    assert len(default_name(CT, uid) + "~12345") < 255


@given(uid=UIDS, other=UIDS)
@example(uid="1.2/3", other="1.2%2F3")
@example(uid="\xaa", other="\xba")
@example(uid="1.2.A", other="1.2.a")
@example(uid="1" * 201, other="1" * 202)
@example(uid="1." + "%" * 199, other="1." + "%" * 200)
def test_no_two_uids_become_one_name_even_if_case_is_ignored(uid: str, other: str) -> None:
    assert (safe_uid(uid).casefold() == safe_uid(other).casefold()) == (uid == other)


@given(uid=UIDS, position=st.integers(0), character=st.characters(max_codepoint=255))
def test_one_character_makes_another_name(uid: str, position: int, character: str) -> None:
    position %= len(uid) + 1
    other = uid[:position] + character + uid[position + 1 :]
    assert (safe_uid(uid).casefold() == safe_uid(other).casefold()) == (uid == other)


def test_digest_that_looks_like_quoted_bytes_cannot_be_mistaken_for_a_uid(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Digest:
        def hexdigest(self) -> str:
            return "20" * 32

    long, digest_of = "1." * 150, hashlib.sha256

    def sha256(data: bytes) -> Any:
        return Digest() if data == long.encode() else digest_of(data)

    monkeypatch.setattr("aiodicom.storage.layout.hashlib.sha256", sha256)
    name = safe_uid(long)
    assert safe_uid(unquoted(name)) != name
