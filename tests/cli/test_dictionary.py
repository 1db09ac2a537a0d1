"""DCMDICTPATH: dictionaries in DCMTK's format become pydicom's."""

from __future__ import annotations

import copy
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom import datadict
from pydicom._dicom_dict import DicomDictionary
from pydicom._private_dict import private_dictionaries
from pydicom.datadict import get_entry, get_private_entry, keyword_dict, tag_for_keyword

from aiodicom.cli.dictionary import load_dictionaries


@pytest.fixture(autouse=True)
def same_dictionaries_afterwards() -> Iterator[None]:
    standard, keywords = dict(DicomDictionary), dict(keyword_dict)
    private = copy.deepcopy(private_dictionaries)
    yield
    for dictionary, before in (
        (DicomDictionary, standard),
        (keyword_dict, keywords),
        (private_dictionaries, private),
    ):
        dictionary.clear()
        dictionary.update(before)  # type: ignore[arg-type]


def load(folder: Path, text: str) -> list[str]:
    path = folder / "a.dic"
    path.write_text(text, encoding="utf-8")
    return load_dictionaries({"DCMDICTPATH": f"{path}"})


def test_new_standard_attribute(tmp_path: Path) -> None:
    assert load(tmp_path, "(0042,1234)\tDS\tNewLengthOfABone\t1-3\tDICOM\n") == []
    expected = ("DS", "1-3", "New Length Of ABone", "", "NewLengthOfABone")
    assert get_entry(0x00421234) == expected
    assert tag_for_keyword("NewLengthOfABone") == 0x00421234


def test_attribute_is_replaced_but_for_what_pydicom_knows_better(tmp_path: Path) -> None:
    lines = "(0010,0010)\tLO\tPatientName\t2\tX\n(0028,3006)\tlt\tLUTData\t1-n\tX\n"
    assert load(tmp_path, lines) == []
    assert get_entry(0x00100010) == ("LO", "2", "Patient's Name", "", "PatientName")
    assert get_entry(0x00283006)[0] == "US or OW"


def test_retired_attribute_keeps_its_keyword(tmp_path: Path) -> None:
    before = get_entry(0x00080040)
    assert before[3] == "Retired"
    line = f"(0008,0040)\t{before[0]}\tRETIRED_{before[4]}\t1\tDICOM/retired\n"
    assert load(tmp_path, line) == []
    assert get_entry(0x00080040) == before


def test_attribute_with_fewest_fields(tmp_path: Path) -> None:
    assert load(tmp_path, "(0042,1234)\tDS\tBone\n") == []
    assert get_entry(0x00421234) == ("DS", "1", "Bone", "", "Bone")


def test_private_attribute_in_whatever_block(tmp_path: Path) -> None:
    assert load(tmp_path, '(0011,"ME, MYSELF",0A)\tLO\tMine\t1\tPrivateTag\n') == []
    assert get_private_entry(0x0011220A, "ME, MYSELF") == ("LO", "1", "Mine", "")


@pytest.mark.parametrize("groups", ["60xx", "6000-60FF", "6000-60ff", "6000-u-60FE"])
def test_repeating_groups(tmp_path: Path, groups: str) -> None:
    odd = groups == "6000-u-60FE"
    problems = load(tmp_path, f"({groups},1234)\tUS\tOverlayThing\t1\tX\n")
    if odd:  # odd groups are private, and this is no private attribute
        assert "odd groups are private" in problems[0]
        return
    assert problems == []
    for group in (0x6000, 0x6022, 0x60FE):
        assert get_entry(group << 16 | 0x1234)[4] == "OverlayThing"
    assert tag_for_keyword("OverlayThing") == 0x60001234
    with pytest.raises(KeyError):
        get_entry(0x61001234)


def test_repeating_private_groups_and_elements(tmp_path: Path) -> None:
    assert load(tmp_path, '(7001-o-700F,"ME",10-u-12)\tUS\tMine\t1\tX\n') == []
    assert get_private_entry(0x700F1011, "ME")[2] == "Mine"
    with pytest.raises(KeyError):
        get_private_entry(0x700F1013, "ME")


def test_comments_empty_lines_and_what_is_no_matter_of_dictionaries(tmp_path: Path) -> None:
    lines = (
        "# a comment\n  # another\n\n \t \n"
        "(0009-o-FFFF,0010-u-00FF)\tLO\tPrivateCreator\t1\tPRIVATE\n"
        "(0000-u-FFFF,0000)\tUL\tGenericGroupLength\t1\tGENERIC\n"
    )
    before = len(DicomDictionary)
    assert load(tmp_path, lines) == []
    assert len(DicomDictionary) == before


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("(0042,1234)\tDS", "too few fields"),
        ("(0042,1234)  DS  Bone  1  X", "too few fields"),
        ("0042,1234\tDS\tBone", "no tag"),
        ("(0042)\tDS\tBone", "no tag"),
        ("(0042,12345)\tDS\tBone", "not hexadecimal"),
        ("(004G,1234)\tDS\tBone", "not hexadecimal"),
        ("(0042,1234)\tZZ\tBone", "no VR"),
        ("(0043,1234)\tDS\tBone", "odd groups are private"),
        ('(0042,"ME",12)\tDS\tBone', "odd groups are private"),
        ("(0042,0000-u-FFFF)\tDS\tBone", "more than 4096 tags"),
    ],
)
def test_bad_line_is_left_out_and_the_others_count(tmp_path: Path, line: str, why: str) -> None:
    problems = load(tmp_path, f"# first\n{line}\n(0042,4321)\tDS\tGood\t1\tX\n")
    assert len(problems) == 1
    assert problems[0].startswith(f"data dictionary {tmp_path / 'a.dic'}: line 2 is ignored: ")
    assert why in problems[0]
    assert get_entry(0x00424321)[4] == "Good"


def test_nothing_that_could_be_loaded(tmp_path: Path) -> None:
    problems = load(tmp_path, "no dictionary\n" * 10)
    assert len(problems) == 5
    assert problems[3].endswith(": 7 more lines like these")
    assert problems[4] == (
        "no data dictionary loaded: correct the environment variable DCMDICTPATH"
    )


def test_one_of_several_files_is_enough(tmp_path: Path) -> None:
    (tmp_path / "good.dic").write_text("(0042,1234)\tDS\tBone\n")
    paths = f"{tmp_path / 'none.dic'}::{tmp_path / 'good.dic'}"
    assert load_dictionaries({"DCMDICTPATH": paths}) == [
        f"data dictionary {tmp_path / 'none.dic'}: No such file or directory"
    ]
    assert get_entry(0x00421234)[4] == "Bone"


def test_pydicom_is_imported_only_if_the_variable_is_set() -> None:
    code = (
        "import sys; from aiodicom.cli.dictionary import load_dictionaries; "
        "print(load_dictionaries({}), load_dictionaries({'DCMDICTPATH': ''}), "
        "'pydicom' in sys.modules)"
    )
    done = subprocess.run((sys.executable, "-c", code), capture_output=True, text=True, check=True)
    assert done.stdout == "[] [] False\n"


@pytest.mark.dcmtk
def test_dcmtks_own_dictionaries() -> None:
    files = sorted(Path("/usr/share").glob("libdcmtk*/*.dic"))
    assert {"dicom.dic", "private.dic"} <= {file.name for file in files}
    keywords = {tag: datadict.get_entry(tag)[4] for tag in DicomDictionary}
    assert load_dictionaries({"DCMDICTPATH": ":".join(map(str, files))}) == []
    assert get_private_entry(0x00091000, "CARDIO-D.R. 1.0")[2] == "FileLocation"
    same = sum(get_entry(tag)[4] == keyword for tag, keyword in keywords.items())
    assert same > 0.95 * len(keywords)
