"""What files are called, where that is not asked of their UID alone."""

from __future__ import annotations

import re
from datetime import datetime

import pytest

from aiodicom.storage.schemes import Layout, Names
from tests.peer import CT

PATTERNS = {
    Names.INSTANCE: r"CT\.1\.2\.3",
    Names.UNIQUE: r"CT\.X\.2\.25\.[1-9]\d{30,38}",
    Names.SHORT: r"CT_[0-9a-f]{16}",
    Names.MICROSECONDS: r"\d{14}\.\d{6}\.CT",
    Names.MILLISECONDS: r"\d{17}\.CT",
}


@pytest.mark.parametrize("extension", ["", ".dcm", "x"])
@pytest.mark.parametrize("names", Names)
def test_names_are_as_people_know_them(names: Names, extension: str) -> None:
    name = Layout(names, extension=extension).candidates(CT, "1.2.3")(0)
    assert re.fullmatch(PATTERNS[names] + re.escape(extension), name)


@pytest.mark.parametrize(
    ("names", "pattern"),
    [
        (Names.INSTANCE, r"UNKNOWN\.1\.2"),
        (Names.UNIQUE, r"UNKNOWN\.X\.[\d.]+"),
        (Names.SHORT, r"XX_[0-9a-f]{16}"),
        (Names.MICROSECONDS, r"[\d.]+\.UNKNOWN"),
        (Names.MILLISECONDS, r"\d+\.UNKNOWN"),
    ],
)
def test_class_without_a_prefix(names: Names, pattern: str) -> None:
    assert re.fullmatch(pattern, Layout(names).candidates("1.2.99", "1.2")(0))


@pytest.mark.parametrize("names", Names)
def test_further_names_differ_and_keep_the_extension(names: Names) -> None:
    candidates = Layout(names, extension=".dcm").candidates(CT, "1.2.3")
    made = [candidates(number) for number in range(5)]
    assert len(set(made)) == 5
    assert all(name.endswith(".dcm") for name in made)


def test_further_names_of_a_time_are_numbered() -> None:
    candidates = Layout(Names.MILLISECONDS).candidates(CT, "1.2.3")
    first = candidates(0)
    assert candidates(1) == first.replace(".CT", "_0001.CT")


@pytest.mark.parametrize("names", [Names.MICROSECONDS, Names.MILLISECONDS])
def test_time_is_the_local_one(names: Names) -> None:
    before = f"{datetime.now():%Y%m%d%H%M%S}"  # noqa: DTZ005
    name = Layout(names).candidates(CT, "1.2.3")(0)
    assert before <= name[:14] <= f"{datetime.now():%Y%m%d%H%M%S}"  # noqa: DTZ005


@pytest.mark.parametrize("uid", ["../../x", "a/b", "1\n2", "\0"])
@pytest.mark.parametrize("names", Names)
def test_name_stays_in_the_folder(names: Names, uid: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9._%]+", Layout(names).candidates(CT, uid)(0))


@pytest.mark.parametrize("extension", ["/x", "..//", "a\0", "x" * 33, "é" * 17])
def test_extension_that_cannot_be_one(extension: str) -> None:
    with pytest.raises(ValueError, match="give"):
        Layout(extension=extension)


@pytest.mark.parametrize("names", Names)
def test_longest_name_fits_a_file_system(names: Names) -> None:
    candidates = Layout(names, extension="x" * 32).candidates("1.2.99", "%" * 400)
    assert len(candidates(99999)) <= 255
