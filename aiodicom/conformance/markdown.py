"""Sections and tables as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

__all__ = ["Section", "anchor", "items", "table"]

MOST_DEEP = 6
"""Levels of headings that Markdown has."""


@dataclass(frozen=True, slots=True)
class Section:
    """A section of the statement.

    Parameters
    ----------
    number : str
        Its number in PS3.2 Annex N's template, such as ``7.2.1``; an annex has a letter.
    title : str
        Its title.
    text : str
        What it says, as Markdown; may be empty.
    """

    number: str
    title: str
    text: str = ""

    @property
    def depth(self) -> int:
        """1 for a chapter or an annex."""
        return self.number.count(".") + 1

    @property
    def heading(self) -> str:
        """Number and title."""
        word = "Annex " if self.number.isalpha() else ""
        return f"{word}{self.number} {self.title}"

    def __str__(self) -> str:
        marks = "#" * min(self.depth + 1, MOST_DEEP)
        return f"{marks} {self.heading}\n" + (f"\n{self.text}\n" if self.text else "")


def anchor(heading: str) -> str:
    """Return what links to a heading are called."""
    kept = "".join(c for c in heading.lower() if c.isalnum() or c in "_- ")
    return kept.replace(" ", "-")


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table."""
    lines = [_row(head), _row(["---"] * len(head)), *map(_row, rows)]
    return "\n".join(lines)


def items(lines: Iterable[str]) -> str:
    """Return a list."""
    return "\n".join(f"- {line}" for line in lines)


def _row(cells: Sequence[object]) -> str:
    return "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |"
