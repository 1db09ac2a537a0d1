"""The pages show the examples as they are, and tests that pass."""

from __future__ import annotations

import re
from pathlib import Path

from tests.examples.embed import PAGE, ROOT, embedded, shown
from tests.processes import run_module

TESTING = ROOT / "docs/testing.md"


def test_the_page_shows_every_example_as_it_is() -> None:
    here = "python -m tests.examples.embed writes it anew"
    assert PAGE.read_text(encoding="utf-8") == embedded(), here
    assert sorted(shown()) == sorted(f"examples/{p.name}" for p in ROOT.glob("examples/*.py"))


def test_the_tests_on_the_page_of_testing_pass(tmp_path: Path) -> None:
    text = TESTING.read_text(encoding="utf-8")
    files = re.findall(r"^```python\n# (\w+\.py)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    assert len(files) == text.count("```python")
    for name, source in files:
        (tmp_path / name).write_text(source, encoding="utf-8")
    ran = run_module("pytest", "-q", "-W", "error", "--strict-markers", cwd=tmp_path)
    assert ran.returncode == 0, ran.stdout
    summary = re.search(r"^(\d+) passed in", ran.stdout, re.MULTILINE)
    assert summary, ran.stdout
    assert int(summary[1]) >= text.count("\ndef test_") + text.count("\nasync def test_")
