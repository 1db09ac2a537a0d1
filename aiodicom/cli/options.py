"""The command line: DCMTK's rules, from tables of options.

An option is a whole name, short or long, never an abbreviation; ``--option value`` and
``--option=value``; options and parameters in any order; of exclusive options, and of one that is
repeated, the rightmost counts. A wrong command line is one line and exit code 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from aiodicom.access import check_ae_title
from aiodicom.wire.identity import __version__

__all__ = ["Command", "Group", "Option", "UsageError", "ae_title", "port", "seconds", "size"]


class UsageError(Exception):
    """The command line is wrong; the message says how, and what would be right."""


@dataclass(frozen=True, slots=True)
class Option:
    """One option.

    Parameters
    ----------
    names : tuple of str
        Its names, the short ones first.
    dest : str
        The setting that it makes.
    help : str
        One line.
    metavar : str
        What its value is called; an option without one takes none.
    convert : callable
        Makes the setting of the value, or raises `ValueError` with what would be right.
    value : object
        The setting, where it takes no value.
    """

    names: tuple[str, ...]
    dest: str
    help: str
    metavar: str = ""
    convert: Callable[[str], object] = str
    value: object = True


@dataclass(frozen=True, slots=True)
class Group:
    """Options under one title."""

    title: str
    options: tuple[Option, ...]


@dataclass(frozen=True, slots=True)
class Command:
    """A command: its parameters are required, in order."""

    name: str
    summary: str
    parameters: Mapping[str, Callable[[str], object]]
    groups: tuple[Group, ...]
    defaults: Mapping[str, object] = field(default_factory=dict)

    def parse(self, arguments: Sequence[str]) -> dict[str, object]:
        """Return the settings that `arguments` make.

        Raises
        ------
        UsageError
            Where they are not understood.
        """
        settings = dict(self.defaults)
        given: list[str] = []
        known = {name: o for group in self.groups for o in group.options for name in o.names}
        words = iter(arguments)
        for word in words:
            if len(word) < 2 or word[0] not in "-+" or word[1].isdigit():
                given.append(word)
                continue
            name, is_joined, joined = word.partition("=")
            if word in known:  # -x= is a name
                name, is_joined = word, ""
            option = known.get(name)
            if option is None or (is_joined and not name.startswith("--")):
                raise UsageError(f"unknown option {word}")
            value = joined if is_joined else None
            settings[option.dest] = _setting(option, name, value, words)
        return settings | self._take(given)

    def _take(self, given: Sequence[str]) -> dict[str, object]:
        names = list(self.parameters)
        if len(given) < len(names):
            raise UsageError(f"missing parameter {names[len(given)]}")
        if len(given) > len(names):
            raise UsageError(f"too many parameters: {given[len(names)]}")
        taken = {}
        for (name, convert), text in zip(self.parameters.items(), given, strict=True):
            taken[name] = _convert(convert, text, f"parameter {name}")
        return taken

    def usage(self) -> str:
        """Return the help text."""
        return "\n".join(self._usage_lines())

    def _usage_lines(self) -> Iterator[str]:
        yield f"aiodicom {self.name} {__version__}: {self.summary}"
        yield ""
        yield f"usage: python -m aiodicom.{self.name} [options] {' '.join(self.parameters)}"
        width = max(len(_names(option)) for group in self.groups for option in group.options)
        for group in self.groups:
            yield ""
            yield f"{group.title}:"
            for option in group.options:
                yield f"  {_names(option):<{width}}  {option.help}"


def _names(option: Option) -> str:
    return f"{'  '.join(option.names)} {option.metavar}".rstrip()


def _setting(option: Option, name: str, joined: str | None, words: Iterator[str]) -> object:
    if not option.metavar:
        if joined is not None:
            raise UsageError(f"option {name} takes no value")
        return option.value
    text = joined if joined is not None else next(words, None)
    if text is None:
        raise UsageError(f"missing value for option {name}: {option.metavar}")
    return _convert(option.convert, text, f"option {name}")


def _convert(convert: Callable[[str], object], text: str, what: str) -> object:
    try:
        return convert(text)
    except ValueError as error:
        raise UsageError(f"{what}: {error}") from None


def _number(text: str, kind: Callable[[str], float], what: str) -> float:
    try:
        if "_" in text:  # Python's digit groups are nobody else's
            raise ValueError
        return kind(text)
    except ValueError:
        raise ValueError(f"{text!r} is not {what}") from None


def port(text: str) -> int:
    """Convert a TCP port."""
    number = int(_number(text, int, "a number"))
    if not 1 <= number <= 65535:
        raise ValueError(f"{number} is not a TCP port, 1 to 65535")
    return number


def seconds(text: str) -> float | None:
    """Convert a time in seconds; 0 is no limit."""
    number = _number(text, float, "a number of seconds")
    if not 0 <= number <= 1e9:
        raise ValueError(f"{text} is not 0 (no limit) or more seconds")
    return number or None


def size(text: str) -> int:
    """Convert the size of a PDU in bytes; 0 is no limit."""
    number = int(_number(text, int, "a number of bytes"))
    if number and not 4096 <= number < 1 << 32:
        raise ValueError(f"{number} is not 0 (no limit) or 4096 and more bytes")
    return number


def ae_title(text: str) -> str:
    """Convert an AE title."""
    return check_ae_title(text)
