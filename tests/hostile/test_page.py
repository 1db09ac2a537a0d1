"""What `docs/reliability.md` says of tests: each of them is there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_test_that_the_page_names_is_there() -> None:
    page = (ROOT / "docs/reliability.md").read_text(encoding="utf-8")
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py")]
    tests = re.findall(r"def test_(\w+)\(", "\n".join(sources))
    named = set(re.findall(r"`([a-z0-9]+(?:[_…]+[a-z0-9]+){2,})`", page))
    assert len(named) > 30
    for name in named:
        pattern = re.compile(name.replace("…", r"\w*") + "$")
        assert any(pattern.search(test) for test in tests), name


def test_every_file_that_the_page_names_is_there() -> None:
    page = (ROOT / "docs/reliability.md").read_text(encoding="utf-8")
    there = {path.name for path in (ROOT / "tests").rglob("*.py")}
    files = set(re.findall(r"`([a-z_/]+\.py)`", page))
    assert len(files) > 10
    for file in files:
        assert (ROOT / file).is_file() or (ROOT / "tests" / file).is_file() or file in there, file
