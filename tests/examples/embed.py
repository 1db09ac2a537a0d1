"""``python -m tests.examples.embed`` writes the examples into docs/embedding.md.

A fence below a comment that names a file of examples/ holds that file, character for character::

    <!-- run by: tests/examples examples/NAME.py -->
"""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/embedding.md"

_PLACE = re.compile(
    r"(<!-- run by: tests/examples (examples/\w+\.py) -->\n```python\n).*?(?=^```$)",
    re.DOTALL | re.MULTILINE,
)


def embedded() -> str:
    """The page, with the examples as they are now."""
    return _PLACE.sub(_with_file, PAGE.read_text(encoding="utf-8"))


def shown() -> list[str]:
    """The examples that the page shows, in its order."""
    return [found[2] for found in _PLACE.finditer(PAGE.read_text(encoding="utf-8"))]


def _with_file(found: re.Match[str]) -> str:
    return found[1] + (ROOT / found[2]).read_text(encoding="utf-8")


if __name__ == "__main__":
    PAGE.write_text(embedded(), encoding="utf-8")
