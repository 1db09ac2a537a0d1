"""The whole of it, in the order of PS3.2 Annex N."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from aiodicom.conformance.annexes import annexes
from aiodicom.conformance.configurations import Acceptor, Requestor
from aiodicom.conformance.markdown import Section, anchor
from aiodicom.conformance.model import model, services
from aiodicom.conformance.network import network
from aiodicom.conformance.overview import cover, introduction, overview
from aiodicom.conformance.security import security
from aiodicom.conformance.settings import configuration

__all__ = ["statement"]


def statement(of: Acceptor | Requestor) -> str:
    """Return a command line's statement, as Markdown.

    Parameters
    ----------
    of : Acceptor or Requestor
        What the command line says.
    """
    after = [
        *introduction(of),
        *model(of),
        *services(of),
        *configuration(of),
        *network(of),
        *security(of),
        *annexes(of),
    ]
    before = list(overview(of))
    contents = Section("2", "Table of Contents", "\n".join(_contents((*before, *after))))
    return "\n".join((cover(of), *map(str, before), str(contents), *map(str, after)))


def _contents(sections: Iterable[Section]) -> Iterator[str]:
    for section in sections:
        if section.depth <= 2:
            indent = "  " * (section.depth - 1)
            yield f"{indent}- [{section.heading}](#{anchor(section.heading)})"
