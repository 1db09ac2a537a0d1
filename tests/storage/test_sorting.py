"""Subfolders' names: as people know them, and safe for whatever a peer sends."""

from __future__ import annotations

import re
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiodicom.storage.patient_names import safe_patient_name
from aiodicom.storage.sorting import (
    PATIENT_NAME,
    SERIES_DATE,
    SPECIFIC_CHARACTER_SET,
    STUDY_INSTANCE_UID,
    by_patient_name,
    by_series_date,
    by_study_time,
    by_study_uid,
    stamped,
)

# Dates --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "folder"),
    [
        (b"20240102", "data/2024/01/02"),
        (b"2024.01.03", "data/2024/01/03"),  # as ACR-NEMA wrote it, and as DCMTK takes it
        (b"20240607 ", "data/2024/06/07"),
        (b"20240607\0", "data/2024/06/07"),
        (b"20240405\\20240506", "data/2024/04/05"),
        (b"00010101", "data/0001/01/01"),
    ],
)
def test_series_date(value: bytes, folder: str) -> None:
    assert by_series_date().folder({SERIES_DATE: value}) == folder


@pytest.mark.parametrize(
    "value",
    [
        b"", b"2024", b"20241301", b"20240230", b"2024/1/2", b"../../..", b"        ",
        b"\xb2\xb2\xb2\xb2\xb2\xb2\xb2\xb2", b"2024.0102", b"+2024010",
    ],
)  # fmt: skip
def test_what_is_no_date_goes_where_those_without_one_go(value: bytes) -> None:
    today = f"undef/{datetime.now():%Y%m%d}"  # noqa: DTZ005
    tomorrow = f"undef/{datetime.now():%Y%m%d}"  # noqa: DTZ005
    assert by_series_date().folder({SERIES_DATE: value}) in (today, tomorrow)
    assert by_series_date().folder({}) in (today, tomorrow)


# Studies ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("prefix", "uid", "folder"),
    [
        ("", b"1.2.3", "1.2.3"),
        ("", b"1.2.3\0", "1.2.3"),
        ("CT", b"1.2.3", "CT_1.2.3"),
        ("", b"..", "%2E."),
        ("", b".", "%2E"),
        ("", b"../x", "%2E.%2F%78"),
        ("x", b"..", "x_.."),
        ("", b"a/b", "%61%2F%62"),
        ("", b"1\n2", "1%0A2"),
        ("", b"$(id)", "%24%28%69%64%29"),
    ],
)
def test_study_uid(prefix: str, uid: bytes, folder: str) -> None:
    assert by_study_uid(prefix).folder({STUDY_INSTANCE_UID: uid}) == folder


@given(st.binary(min_size=1, max_size=300), st.binary(min_size=1, max_size=300))
def test_two_studies_share_no_folder_and_none_leaves_it(one: bytes, other: bytes) -> None:
    sorting = by_study_uid()
    names = [sorting.folder({STUDY_INSTANCE_UID: uid}) for uid in (one, other)]
    uids = [uid.decode("latin-1").strip("\0 ") for uid in (one, other)]
    assert (names[0].casefold() == names[1].casefold()) == (uids[0] == uids[1])
    for name in names:
        assert re.fullmatch(r"[A-Za-z0-9%.-]{0,250}", name)
        assert not name.startswith(".")


@pytest.mark.parametrize("prefix", ["a/b", "/", "\0", "x" * 33])
def test_prefix_that_cannot_be_one(prefix: str) -> None:
    with pytest.raises(ValueError, match="give"):
        by_study_uid(prefix)
    with pytest.raises(ValueError, match="give"):
        by_study_time(prefix)


@pytest.mark.parametrize(("prefix", "head"), [("", ""), ("CT", "CT_")])
def test_study_time_is_a_prefix_and_the_time(prefix: str, head: str) -> None:
    folder = by_study_time(prefix).folder({})
    assert folder == head
    assert re.fullmatch(head + r"\d{8}_\d{9}", stamped(folder)(0))


def test_stamps_are_the_local_time_and_all_different() -> None:
    before = f"{datetime.now():%Y%m%d_%H%M%S}"  # noqa: DTZ005
    stamp = stamped("")
    after = f"{datetime.now():%Y%m%d_%H%M%S}"  # noqa: DTZ005
    assert before <= stamp(0)[:15] <= after
    stamps = [stamp(number) for number in range(2000)]
    assert len(set(stamps)) == 2000
    assert sorted(stamps) == stamps


# Patients -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("Müller^Jürgen", "Mueller_Juergen"),  # this, and the rows below, as DCMTK has them
        ("ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏ", "AAAAAeAACEEEEIIII"),
        ("ÐÑÒÓÔÕÖ\xd7ØÙÚÛÜÝÞß", "DNOOOOOe_OUUUUeY_ss"),
        ("àáâãäåæçèéêëìíîï", "aaaaaeaaceeeeiiii"),
        ("ðñòóôõö÷øùúûüýþÿ", "dnoooooe_ouuuuey_y"),
        ("O'Neil-Smith.Jr, x", "O_Neil_Smith_Jr__x"),
        ("a^^b^", "a__b_"),
        ("  x  ", "__x"),
        ("..^..", "_____"),
        ("^^", "__"),
    ],
)
def test_latin_1_name(name: str, folder: str) -> None:
    assert safe_patient_name(name.encode("latin-1"), b"ISO_IR 100") == folder
    assert safe_patient_name(name.encode("latin-1"), b"ISO 2022 IR 100\\ISO 2022 IR 87") == folder


@pytest.mark.parametrize("value", [b"", b" ", b"\0", b"    \0"])
def test_no_name(value: bytes) -> None:
    assert safe_patient_name(value, b"") == "ANONYMOUS"
    assert by_patient_name().folder({PATIENT_NAME: value}) == "ANONYMOUS_"
    assert by_patient_name().folder({}) == "ANONYMOUS_"


@pytest.mark.parametrize(
    ("value", "charset", "folder"),
    [
        ("Dvořák^Antonín".encode("iso8859-2"), b"ISO_IR 101", "Dvorak_Antonin"),
        ("Łukasz".encode(), b"ISO_IR 192", "Lukasz"),
        ("Müller".encode(), b"ISO_IR 192 ", "Mueller"),
        ("Müller".encode(), b"", "Mueller"),  # who says nothing says UTF-8 often enough
        ("Müller".encode("latin-1"), b"", "Mueller"),
        ("Mu\u0308ller".encode(), b"ISO_IR 192", "Mueller"),
        (b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B", b"\\ISO 2022 IR 87", "Yamada_Tarou"),
        ("王^小东".encode("gb18030"), b"GB18030", "____"),
        ("\uff0f\uff0e\uff0e\uff0fx".encode(), b"ISO_IR 192", "____x"),  # slashes, decomposed
        (b"x/../$(id)\n\0y", b"", "x______id___y"),
        (b"\xff\xfe", b"ISO_IR 192", "__"),
        (b"abc", b"nonsense", "abc"),
        (b"\xde", b"ISO_IR 13", "ANONYMOUS"),  # a sound mark on its own: nothing but a mark
    ],
)  # fmt: skip
def test_name_in_another_character_set(value: bytes, charset: bytes, folder: str) -> None:
    assert safe_patient_name(value, charset) == folder
    found = {PATIENT_NAME: value, SPECIFIC_CHARACTER_SET: charset}
    assert by_patient_name().folder(found) == folder + "_"


@given(
    st.binary(max_size=600),
    st.sampled_from([b"", b"ISO_IR 100", b"ISO_IR 192", b"ISO 2022 IR 87", b"GB18030", b"ISO_IR 13",
                     b"ISO 2022 IR 149", b"ISO 2022 IR 58", b"ISO 2022 IR 159", b"ISO_IR 166"]),
)  # fmt: skip
def test_any_name_is_short_and_harmless(value: bytes, charset: bytes) -> None:
    assert re.fullmatch(r"[A-Za-z0-9_]{1,100}", safe_patient_name(value, charset))
