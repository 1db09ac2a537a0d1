"""What the wheel says of itself."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from packaging.metadata import Metadata
from packaging.requirements import Requirement

from aiodicom import __version__
from tests.packaging.conftest import ROOT


@pytest.fixture(scope="session")
def said(wheel: Path) -> Metadata:
    """Its metadata, which is checked as an index checks it."""
    with zipfile.ZipFile(wheel) as archive:
        return Metadata.from_email(archive.read(f"aiodicom-{__version__}.dist-info/METADATA"))


def test_name_version_and_license(said: Metadata) -> None:
    assert (said.name, str(said.version)) == ("aiodicom", __version__)
    assert (said.license_expression, said.license_files) == ("MIT", ["LICENSE"])
    assert str(said.requires_python) == ">=3.11"


def test_the_readme_is_its_description_and_renders(said: Metadata) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert said.description == readme
    assert (said.description_content_type or "").startswith("text/markdown")
    html = MarkdownIt("gfm-like", {"linkify": False}).render(readme)
    assert html.startswith("<h1>aiodicom</h1>")
    assert "```" not in html


def test_it_needs_three_packages_and_the_rest_are_extras(said: Metadata) -> None:
    needed = {str(each.name) for each in said.requires_dist or [] if "extra" not in str(each)}
    assert needed == {"anyio", "pydicom", "uvloop"}
    assert {"cli", "http", "otel", "dev"} <= set(said.provides_extra or [])


def test_every_dependency_has_a_least_version(said: Metadata) -> None:
    needed = [each for each in said.requires_dist or [] if each.name != "aiodicom"]
    without = [str(each) for each in needed if ">=" not in str(each.specifier)]
    assert (len(needed) > 20, without) == (True, [])


def test_extras_name_extras_that_there_are(said: Metadata) -> None:
    ours = [each for each in said.requires_dist or [] if each.name == "aiodicom"]
    named = {extra for each in ours for extra in Requirement(str(each)).extras}
    assert named <= set(said.provides_extra or [])


def test_its_script(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        text = archive.read(f"aiodicom-{__version__}.dist-info/entry_points.txt").decode()
    assert text == "[console_scripts]\naiodicom = aiodicom.__main__:aiodicom\n"
