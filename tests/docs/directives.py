"""What the reference shows, as its pages say it."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from dataclasses import dataclass

from tests.docs.blocks import ROOT

PAGES = {
    page.stem: page.read_text(encoding="utf-8") for page in (ROOT / "docs/reference").glob("*.md")
}

_DIRECTIVE = re.compile(r"^\.\. auto(\w+):: ([\w.]+)(\(\))?\n((?:   :.*\n)*)", re.MULTILINE)
_EXCLUDED = re.compile(r":exclude-members: (.*)")


@dataclass(frozen=True, slots=True)
class Shown:
    """Something that the reference shows.

    Parameters
    ----------
    kind : str
        What the directive says that it is: ``class``, ``function``, ``module``, ...
    path : str
        Its name, with its module's.
    is_given : bool
        Whether it is a class whose constructor is not shown: users are given what it makes.
    excluded : frozenset of str
        Members that are not shown.
    """

    kind: str
    path: str
    is_given: bool
    excluded: frozenset[str]

    @property
    def value(self) -> object:
        """What it is."""
        if self.kind == "module":
            return importlib.import_module(self.path)
        module, _, name = self.path.rpartition(".")
        return getattr(importlib.import_module(module), name)


def shown() -> Iterator[Shown]:
    """What there is a directive for."""
    for text in PAGES.values():
        for kind, path, given, options in _DIRECTIVE.findall(text):
            names = ",".join(_EXCLUDED.findall(options)).replace(" ", "")
            yield Shown(kind, path, bool(given), frozenset(names.split(",")))


def shown_one_by_one() -> Iterator[Shown]:
    """The same, with what is public in a module in place of the module."""
    for each in shown():
        if each.kind != "module":
            yield each
            continue
        for name in importlib.import_module(each.path).__all__:
            if name not in each.excluded:
                yield Shown("name", f"{each.path}.{name}", False, each.excluded)
