"""Statements, and what of them tests look at."""

from __future__ import annotations

import functools
import re

from aiodicom.conformance.configurations import Acceptor, Requestor, read
from aiodicom.conformance.statement import statement


@functools.cache
def written(*words: str) -> str:
    """The statement of a command line."""
    return statement(read(words))


def acceptor(*words: str) -> Acceptor:
    of = read(words)
    assert isinstance(of, Acceptor)
    return of


def requestor(*words: str) -> Requestor:
    of = read(words)
    assert isinstance(of, Requestor)
    return of


def section(text: str, number: str) -> str:
    """What stands below a heading, up to the next one."""
    found = re.search(
        rf"^#+ (?:Annex )?{re.escape(number)} .*\n((?:(?!#).*\n)*)", text, re.MULTILINE
    )
    assert found, number
    return found[1]


def cells(text: str) -> list[list[str]]:
    """The rows of the tables in a text, heads left out."""
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("|")]
    rules = [number for number, row in enumerate(rows) if set("".join(row)) <= set("-| ")]
    return [row for number, row in enumerate(rows) if not {number, number + 1} & set(rules)]
