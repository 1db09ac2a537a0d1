"""The pages as a site."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.docs.blocks import ROOT
from tests.processes import run

PATIENCE = 170
"""Seconds for the build: ten on two cores of its own, and many where others work beside it."""

pytestmark = pytest.mark.timeout(PATIENCE + 10)

IMAGES = sorted((ROOT / "docs/images").glob("*.svg"))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build it once, in some seconds, as ``make docs`` does."""
    built = tmp_path_factory.mktemp("site")
    options = ("-W", "--keep-going", "-q", "-j", "auto")
    words = (sys.executable, "-m", "sphinx", *options, str(ROOT / "docs"), str(built))
    done = run(words, timeout=PATIENCE)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return built


def test_the_site_is_built_without_a_warning_as_make_docs_does(site: Path) -> None:
    made = re.search(r"-m sphinx (.*) docs ", (ROOT / "Makefile").read_text(encoding="utf-8"))
    assert made is not None
    assert made[1].split() == ["-W", "--keep-going", "-q", "-j", "auto"]
    assert (site / "reference/serving.html").exists()


def test_a_browser_fetches_nothing_from_elsewhere(site: Path) -> None:
    fetched = re.compile(r"""<(?:script|link|img|iframe)\b[^>]*\b(?:src|href)=["'](?:https?:)?//""")
    styles = re.compile(r"""(?:@import|url\()\s*["']?(?:https?:)?//""")
    for page in site.rglob("*.html"):
        assert not fetched.search(page.read_text(encoding="utf-8")), page
    for sheet in site.rglob("*.css"):
        assert not styles.search(sheet.read_text(encoding="utf-8")), sheet


def test_links_out_of_the_folder_lead_to_pages_of_the_site(site: Path) -> None:
    text = (site / "reliability.html").read_text(encoding="utf-8")
    assert 'href="security.html"' in text
    assert 'href="tls.html"' in (site / "security.html").read_text(encoding="utf-8")


def test_the_reference_says_what_the_source_says(site: Path) -> None:
    text = "".join(page.read_text(encoding="utf-8") for page in site.glob("reference/*.html"))
    assert "the first of several: the one chosen for a 0" in text  # no type, though Sphinx has some
    assert "os.environ" in text
    assert "environ({" not in text  # and nobody's environment


@pytest.mark.parametrize("path", [pytest.param(p, id=p.name) for p in IMAGES])
def test_a_drawing_says_in_words_what_it_shows_and_has_dark_colours(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    names = {element.tag.rpartition("}")[2] for element in ElementTree.fromstring(text).iter()}
    assert {"title", "desc"} <= names
    assert not {"script", "image", "a", "use"} & names
    assert "prefers-color-scheme: dark" in text
