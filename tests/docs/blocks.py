"""The blocks of a page, and what is said about them in comments above them."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]

PAGES = tuple(sorted((ROOT / "README.md", *ROOT.glob("docs/**/*.md"))))

SHELL = ("sh", "bash", "console")

_COMMENT = re.compile(r"<!--\s*(not run|run by|test):\s*(.*?)\s*-->", re.DOTALL)
_FENCE = re.compile(r"( *)(`{3,}|~{3,})([^\s`]*)[^`]*$")


@dataclass(frozen=True, slots=True)
class Block:
    """A block of a page.

    Parameters
    ----------
    language : str
        The word behind its fence; empty where there is none.
    text : str
        What is in it.
    line : int
        The number of its first line, from 1.
    flags : tuple of str
        The words of the comment above it.
    not_run : str
        Why it is not run; empty where it is.
    run_by : tuple of str
        The test that runs it instead of the page's, and the file that it is; empty for others.
    is_hidden : bool
        Whether it is a comment.
    """

    language: str
    text: str
    line: int
    flags: tuple[str, ...] = ()
    not_run: str = ""
    run_by: tuple[str, ...] = ()
    is_hidden: bool = False

    @property
    def is_shell(self) -> bool:
        return self.language in SHELL

    @property
    def can_run(self) -> bool:
        return self.is_shell or self.language == "python"

    @property
    def is_run_here(self) -> bool:
        return self.can_run and not self.not_run and not self.run_by


def name_of(page: Path) -> str:
    """What a page is called in the names of tests."""
    return page.relative_to(ROOT).as_posix()


def find_blocks(text: str) -> list[Block]:
    """Return the blocks of a page in their order, hidden ones among them."""
    return list(_blocks(text.splitlines()))


def _blocks(lines: list[str]) -> Iterator[Block]:
    flags: tuple[str, ...] = ()
    run_by: tuple[str, ...] = ()
    reason = ""
    at = 0
    while at < len(lines):
        begin, line = at, lines[at]
        at += 1
        if line.lstrip().startswith("<!--"):
            while "-->" not in lines[at - 1]:
                at += 1
            said = _COMMENT.fullmatch("\n".join(lines[begin:at]).strip())
            if said is None:
                continue
            first, _, body = said[2].partition("\n")
            if body:
                language, *words = first.split()
                yield Block(language, body, begin + 2, tuple(words), is_hidden=True)
            elif said[1] == "test":
                flags = tuple(first.split())
            elif said[1] == "run by":
                run_by = tuple(first.split())
            else:
                reason = first
        elif fence := _FENCE.match(line):
            while at < len(lines) and not lines[at].strip().startswith(fence[2]):
                at += 1
            body = textwrap.dedent("\n".join(lines[begin + 1 : at]))
            at += 1
            yield Block(fence[3], body, begin + 2, flags, reason, run_by)
            flags, reason, run_by = (), "", ()
        elif line.strip():
            flags, reason, run_by = (), "", ()
