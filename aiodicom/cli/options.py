"""The command line: DCMTK's rules, from tables of options.

An option is a whole name, short or long, never an abbreviation; ``--option value`` and
``--option=value``; options and parameters in any order; of exclusive options (those that make one
setting), and of one that is repeated, the rightmost counts. ``@file`` stands for the words in a
file. A wrong command line is one line and exit code 1.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from aiodicom.ae_titles import check_ae_title
from aiodicom.wire.identity import __version__

__all__ = [
    "Command",
    "Group",
    "Option",
    "Rule",
    "UsageError",
    "ae_title",
    "count",
    "excludes",
    "expand",
    "needs",
    "port",
    "seconds",
    "size",
]


_WORD = re.compile(r"""\s*(?:"([^"]*)"?|'([^']*)'?|([^\s"']\S*))""")


def expand(arguments: Sequence[str]) -> list[str]:
    """Put the words of command files in the place of ``@file``.

    Words are separated by white space; one in quotation marks may hold some. A command file
    cannot name another one.

    Raises
    ------
    UsageError
        Where such a file cannot be read.
    """
    words: list[str] = []
    for argument in arguments:
        if len(argument) < 2 or argument[0] != "@":
            words.append(argument)
            continue
        try:
            with open(argument[1:], encoding="utf-8", errors="surrogateescape") as file:
                text = file.read()
        except OSError as error:
            raise UsageError(f"cannot open command file {argument[1:]}: {error.strerror}") from None
        words += ("".join(filter(None, found.groups())) for found in _WORD.finditer(text.strip()))
    return words


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
        What its value is called; one word for each of several values, whose setting is a tuple.
        An option without one takes none.
    convert : callable
        Makes the setting of a value, or raises `ValueError` with what would be right.
    value : object
        The setting, where it takes no value.
    repeats : bool
        Whether each use adds to a tuple, instead of replacing what stood before.
    note : str
        Said when it is used: why it has no effect here.
    """

    names: tuple[str, ...]
    dest: str
    help: str
    metavar: str = ""
    convert: Callable[[str], object] = str
    value: object = True
    repeats: bool = False
    note: str = ""

    @property
    def name(self) -> str:
        """The long name, which is the last one."""
        return self.names[-1]


@dataclass(frozen=True, slots=True)
class Group:
    """Options under one title."""

    title: str
    options: tuple[Option, ...]


Rule = Callable[[Collection[str]], None]
"""Given the long names of the options that are in effect, raises `UsageError`."""


def excludes(name: str, *others: str) -> Rule:
    """Return the rule that an option does not go with some others."""

    def check(given: Collection[str]) -> None:
        for other in others:
            if name in given and other in given:
                raise UsageError(f"{name} not allowed with {other}")

    return check


def needs(name: str, *others: str) -> Rule:
    """Return the rule that an option is for use with one of some others."""

    def check(given: Collection[str]) -> None:
        if name in given and not any(other in given for other in others):
            raise UsageError(f"{name} only allowed with {' or '.join(others)}")

    return check


@dataclass(frozen=True, slots=True)
class Command:
    """A command: its parameters are required, in order.

    Parameters
    ----------
    name, summary : str
        What it is called, and does.
    parameters : mapping of str to callable
        Names and converters; the last one takes several words where its name ends in ``...``,
        and its setting, without the dots, is a tuple.
    groups : tuple of Group
        Its options.
    defaults : mapping
        The settings that stand where no option says otherwise.
    rules : tuple of Rule
        What options do not go together.
    answers : mapping of str to callable
        Names of options that are answered with a text, whatever else is there.
    checks : tuple of callable
        Further rules, of what depends on values: given the settings, they raise `UsageError`.
    optional : tuple of str
        Parameters at the end that may be missing; their settings are None then.
    """

    name: str
    summary: str
    parameters: Mapping[str, Callable[[str], object]]
    groups: tuple[Group, ...]
    defaults: Mapping[str, object] = field(default_factory=dict)
    rules: tuple[Rule, ...] = ()
    answers: Mapping[str, Callable[[], str]] = field(default_factory=dict)
    checks: tuple[Callable[[Mapping[str, object]], None], ...] = ()
    optional: tuple[str, ...] = ()

    @property
    def synopsis(self) -> str:
        """The parameters, as a usage has them."""
        return " ".join(f"[{n}]" if n in self.optional else n for n in self.parameters)

    def parse(self, arguments: Sequence[str]) -> dict[str, object]:
        """Return the settings that `arguments` make.

        Two settings are everybody's: ``given`` holds the long names of the options in effect,
        ``notes`` what is to be said of those that were used.

        Raises
        ------
        UsageError
            Where they are not understood.
        """
        settings = dict(self.defaults)
        in_effect: dict[str, str] = {}
        notes: list[str] = []
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
            setting = _setting(option, name, value, words)
            if option.repeats:
                so_far = settings.get(option.dest, ())
                setting = (*(so_far if isinstance(so_far, tuple) else ()), setting)
            settings[option.dest] = setting
            in_effect[option.dest] = option.name
            if option.note:
                notes.append(f"{option.name} has no effect: {option.note}")
        for rule in self.rules:
            rule(in_effect.values())
        everybodys = {"given": frozenset(in_effect.values()), "notes": tuple(notes)}
        settings |= self._take(given) | everybodys
        for check in self.checks:
            check(settings)
        return settings

    def _take(self, given: Sequence[str]) -> dict[str, object]:
        names = list(self.parameters)
        if len(given) < len(names) and names[len(given)] not in self.optional:
            raise UsageError(f"missing parameter {names[len(given)]}")
        has_list = bool(names) and names[-1].endswith("...")
        if len(given) > len(names) and not has_list:
            raise UsageError(f"too many parameters: {given[len(names)]}")
        taken: dict[str, object] = {}
        for index, (name, convert) in enumerate(self.parameters.items()):
            what = f"parameter {name}"
            if name.endswith("..."):
                several = tuple(_convert(convert, text, what) for text in given[index:])
                taken[name.removesuffix("...")] = several
            elif index >= len(given):
                taken[name] = None
            else:
                taken[name] = _convert(convert, given[index], what)
        return taken

    def usage(self) -> str:
        """Return the help text."""
        return "\n".join(self._usage_lines())

    def _usage_lines(self) -> Iterator[str]:
        yield f"aiodicom {self.name} {__version__}: {self.summary}"
        yield ""
        yield f"usage: python -m aiodicom.{self.name} [options] {self.synopsis}"
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
    metavars = option.metavar.split()
    if joined is not None and len(metavars) > 1:
        raise UsageError(f"option {name} takes {len(metavars)} values: {option.metavar}")
    texts = [joined] if joined is not None else list(itertools.islice(words, len(metavars)))
    if len(texts) < len(metavars):
        raise UsageError(f"missing value for option {name}: {metavars[len(texts)]}")
    values = tuple(_convert(option.convert, text, f"option {name}") for text in texts)
    return values[0] if len(values) == 1 else values


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


def count(least: int, most: int | None = None) -> Callable[[str], int]:
    """Return what converts a whole number of a range."""

    def convert(text: str) -> int:
        number = int(_number(text, int, "a number"))
        if number < least or (most is not None and number > most):
            span = f"{least} or more" if most is None else f"{least} to {most}"
            raise ValueError(f"{number} is not {span}")
        return number

    return convert


def ae_title(text: str) -> str:
    """Convert an AE title."""
    return check_ae_title(text)
