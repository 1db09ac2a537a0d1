"""Association profiles: DCMTK's configuration file for what is proposed and accepted.

The file's grammar forgives nearly everything, so that a slip is easily made and goes unnoticed:
what DCMTK ignores without a word is a warning here.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from aiodicom.cli.builtin_profiles import BUILT_IN, Contexts, abstract_syntax, built_in
from aiodicom.cli.common import failing_with
from aiodicom.cli.syntaxes import transfer_syntax
from aiodicom.describe import escape

__all__ = ["Profile", "ProfileError", "load_profile", "profile_of"]

logger = logging.getLogger("aiodicom.commands")

T = TypeVar("T")

MOST_CONTEXTS = 128
"""Presentation contexts that an association may have: odd numbers in a byte (PS3.8 9.3.2.2)."""

LONGEST_INFORMATION = 1024
"""Bytes of service class application information that a file may hold."""


class ProfileError(Exception):
    """A profile cannot be used: which file and what place in it, why, and the remedy."""


@dataclass(frozen=True, slots=True)
class Profile:
    """What an association is negotiated by.

    Parameters
    ----------
    name : str
        Its own.
    contexts : tuple
        Abstract syntax UIDs, each with transfer syntax UIDs in order.
    roles : mapping of str to str
        By abstract syntax: ``SCU``, ``SCP`` or ``BOTH`` (PS3.7 D.3.3.4).
    extended : mapping of str to bytes
        By abstract syntax: service class application information (PS3.7 D.3.3.5).
    warnings : tuple of str
        What in the file has no effect, and why.
    """

    name: str
    contexts: Contexts
    roles: Mapping[str, str] = field(default_factory=dict)
    extended: Mapping[str, bytes] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def load_profile(path: str, name: str, *, receiving: bool) -> Profile:
    """Read a profile.

    ``storescp.cfg`` and ``storescu.cfg``, where there is no such file, stand for the profiles of
    these names that come with the commands.

    Parameters
    ----------
    path, name : str
        The configuration file, and the profile's name in it: case and blanks do not count.
    receiving : bool
        Whether it is what an acceptor agrees to: an abstract syntax once, any number of them.
        A requestor proposes at most 128, and may have one of them in several contexts.

    Raises
    ------
    ProfileError
        Where the file or the profile cannot be read or used.
    """
    file = os.path.basename(path)
    if file in BUILT_IN and not os.path.exists(path):
        profile = _built_in(path, file, name)
    else:
        profile = _Reader(path).profile(name)
    if problem := _misfit(profile.contexts, receiving):
        raise ProfileError(f"{path}: profile {escape(name)}: {problem}")
    return profile


def profile_of(settings: Mapping[str, Any], *, receiving: bool, code: int = 1) -> Profile | None:
    """Return the profile that a command line names; warns of what in it has no effect.

    Raises
    ------
    Failed
        Where it cannot be used; with that exit code.
    """
    if settings.get("profile") is None:
        return None
    with failing_with(code, ProfileError):
        profile = load_profile(*settings["profile"], receiving=receiving)
    for warning in profile.warnings:
        logger.warning("%s", warning)
    return profile


def _misfit(contexts: Contexts, receiving: bool) -> str:
    """Return why these contexts cannot be negotiated, or nothing."""
    if not receiving and len(contexts) > MOST_CONTEXTS:
        room = f"an association has room for {MOST_CONTEXTS}: leave some out"
        return f"{len(contexts)} presentation contexts, and {room}"
    uids = [uid for uid, _ in contexts]
    twice = next((uid for uid in uids if uids.count(uid) > 1), None)
    if receiving and twice:
        return f"{twice} is there twice: a receiver needs it once, with all transfer syntaxes"
    return ""


def _built_in(path: str, file: str, name: str) -> Profile:
    wanted = _mangle(name)
    known = next((known for known in BUILT_IN[file] if _mangle(known) == wanted), None)
    if known is None:
        have = ", ".join(BUILT_IN[file])
        raise ProfileError(
            f"{path}: there is no such file, and no profile {escape(name)} "
            f"comes with the commands: only {have}"
        )
    warning = f"{path}: there is no such file: its built-in namesake is used"
    return Profile(known, built_in(file, known), warnings=(warning,) if path != file else ())


# Words ------------------------------------------------------------------------------------------

_COMMENT = re.compile(r"^#.*\n?", re.MULTILINE)
_TOKEN = re.compile(
    r"\s*(?:(?P<level>\[+)(?P<title>[^\]]*)\]*"
    r"|(?P<key>[^=]+)=(?P<value>(?:[^\n]|\n(?=[ \t]))*))"
)


def _mangle(name: str) -> str:
    """Return what of a name counts: letters in any case, digits, hyphens and underscores."""
    return re.sub(r"[^A-Za-z0-9_-]", "", name).upper()


@dataclass(slots=True)
class _Section:
    name: str
    title: str
    entries: dict[str, str] = field(default_factory=dict)


def _scan(text: str) -> tuple[dict[str, list[_Section]], list[str]]:
    """Return the sections of each supersection, and what is wrong with the rest."""
    text = _COMMENT.sub("", text.replace("\0", " "))
    found: dict[str, list[_Section]] = {}
    sections: list[_Section] | None = None
    section: _Section | None = None
    warnings: list[str] = []
    end = 0
    while token := _TOKEN.match(text, end):
        end = token.end()
        name = _mangle(token["title"] or "")
        title = escape(" ".join((token["title"] or "").split()))
        if token["level"] is None:
            warnings += _enter(section, token["key"].strip(), token["value"].strip())
        elif len(token["level"]) > 1:
            section, sections = None, []
            if found.setdefault(name, sections) is not sections:
                warnings.append(f"the second [[{title}]] is ignored: join them")
        elif sections is None:
            section = _Section(name, title)
            warnings.append(f"[{title}] is ignored: it stands before any [[...]]")
        else:
            section = _Section(name, title)
            sections.append(section)
    if rest := text[end:].strip():
        warnings.append(f'"{escape(rest)}" is ignored: a line has no "="')
    return found, warnings


def _enter(section: _Section | None, key: str, value: str) -> Iterator[str]:
    """Take a line of the form key = value; yield what is wrong with it."""
    if "\n" in key:
        yield f'"{escape(" ".join(key.split()))}" is taken for one key: a line has no "="'
    if section is None:
        yield f"{escape(key)} is ignored: it stands before any section"
    elif _mangle(key) in section.entries:
        yield f"[{section.title}] {escape(key)} is ignored: it is there twice, the first one counts"
    else:
        section.entries[_mangle(key)] = value


# Meaning ----------------------------------------------------------------------------------------

_SYNTAXES = "TransferSyntaxes"
_CONTEXTS = "PresentationContexts"
_ROLES = "SCPSCURoleSelection"
_EXTENDED = "ExtendedNegotiation"
_PROFILES = "Profiles"

_KEYS = {
    _SYNTAXES: "TransferSyntax",
    _CONTEXTS: "PresentationContext",
    _ROLES: "Role",
    _EXTENDED: "ExtendedNegotiation",
}
"""Supersections, and what the numbered keys in their sections begin with."""

_LISTS = (_CONTEXTS, _ROLES, _EXTENDED)
"""What a profile may refer to."""


class _Reader:
    """Reads one file; its methods raise `ProfileError`."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._used: set[tuple[str, str]] = set()
        try:
            with open(path, encoding="utf-8-sig", errors="replace") as file:
                self._found, self._warnings = _scan(file.read())
        except OSError as error:
            raise self._error(f"cannot be read: {error.strerror}") from None

    def _error(self, problem: str) -> ProfileError:
        return ProfileError(f"{self._path}: {problem}")

    def profile(self, name: str) -> Profile:
        """Return the profile of that name. All others are read as well, and must be sound."""
        for needed in (_SYNTAXES, _CONTEXTS, _PROFILES):
            if needed.upper() not in self._found:
                raise self._error("; ".join([f"it has no [[{needed}]]", *self._warnings[:1]]))
        syntaxes = self._lists(_SYNTAXES, transfer_syntax)

        def context(value: str) -> tuple[str, tuple[str, ...]]:
            uid, title = _pair(value, "the name of a list of transfer syntaxes")
            return uid, tuple(self._named(_SYNTAXES, syntaxes, title))

        contexts = self._lists(_CONTEXTS, context)
        roles = self._lists(_ROLES, _role)
        extended = self._lists(_EXTENDED, _information)
        profiles: dict[str, Profile] = {}
        for section in self._found[_PROFILES.upper()]:
            try:
                profile = self._resolve(section, contexts, roles, extended)
            except ValueError as error:
                raise self._error(f"[[{_PROFILES}]] [{section.title}]: {error}") from None
            if profiles.setdefault(section.name, profile) is not profile:
                raise self._error(f"[{section.title}] of [[{_PROFILES}]] is there twice: rename it")
        if _mangle(name) not in profiles:
            have = ", ".join(profile.name for profile in profiles.values()) or "none at all"
            raise self._error(f"there is no profile {escape(name)} in it: it has {have}")
        self._warn_of_unused()
        warnings = tuple(f"{self._path}: {warning}" for warning in self._warnings)
        return replace(profiles[_mangle(name)], warnings=warnings)

    def _lists(self, kind: str, convert: Callable[[str], T]) -> dict[str, list[T]]:
        """Return the lists of a supersection, without empty ones; those of one name are joined."""
        lists: dict[str, list[T]] = {}
        for section in self._found.get(kind.upper(), ()):
            for key, value in self._numbered(kind, section):
                try:
                    item = convert(value)
                except ValueError as error:
                    problem = f"[[{kind}]] [{section.title}] {key}: {error}"
                    if "\n" in value:
                        problem += "; a line that begins with white space continues the one above"
                    raise self._error(problem) from None
                lists.setdefault(section.name, []).append(item)
        return lists

    def _numbered(self, kind: str, section: _Section) -> Iterator[tuple[str, str]]:
        """Yield the entries 1, 2, 3 and so on, up to the first one that is missing."""
        key, number, entries = _KEYS[kind], 1, dict(section.entries)
        while (value := entries.pop(f"{key.upper()}{number}", None)) is not None:
            yield f"{key}{number}", value
            number += 1
        for other in entries:
            if re.fullmatch(rf"{key.upper()}\d+", other):
                other = key + other[len(key) :]
                why = f"there is no {key}{number}, and keys are numbered from 1 without gaps"
            else:
                why = f"keys are {key}1, {key}2 and so on"
            self._warnings.append(f"[[{kind}]] [{section.title}] {other} is ignored: {why}")

    def _named(self, kind: str, lists: Mapping[str, list[T]], title: str) -> list[T]:
        """Return a list by its name, nothing by none."""
        if not title:
            return []
        if _mangle(title) not in lists:
            raise ValueError(f"[[{kind}]] has no [{escape(title)}], or an empty one")
        self._used.add((kind, _mangle(title)))
        return lists[_mangle(title)]

    def _resolve(
        self,
        section: _Section,
        contexts: Mapping[str, list[tuple[str, tuple[str, ...]]]],
        roles: Mapping[str, list[tuple[str, str]]],
        extended: Mapping[str, list[tuple[str, bytes]]],
    ) -> Profile:
        """Return the profile that a section describes, or raise `ValueError`."""
        titles = {_mangle(key): section.entries.get(_mangle(key), "") for key in _LISTS}
        if not titles[_mangle(_CONTEXTS)]:
            raise ValueError(f"it needs {_CONTEXTS} = (the name of a list)")
        for key in sorted(section.entries.keys() - titles.keys()):
            where = f"[[{_PROFILES}]] [{section.title}]"
            self._warnings.append(f"{where} {key} is ignored: keys are {', '.join(_LISTS)}")
        agreed = tuple(self._named(_CONTEXTS, contexts, titles[_mangle(_CONTEXTS)]))
        role_list = self._named(_ROLES, roles, titles[_mangle(_ROLES)])
        extended_list = self._named(_EXTENDED, extended, titles[_mangle(_EXTENDED)])
        uids = {uid for uid, _ in agreed}
        return Profile(
            section.title,
            agreed,
            _each(_ROLES, role_list, uids),
            _each(_EXTENDED, extended_list, uids),
        )

    def _warn_of_unused(self) -> None:
        for kind in _KEYS:
            for section in self._found.get(kind.upper(), ()):
                if (kind, section.name) not in self._used:
                    self._warnings.append(f"[[{kind}]] [{section.title}] is used by nothing")
        for name in self._found:
            if name not in map(str.upper, (*_KEYS, _PROFILES)):
                self._warnings.append(f"[[{name}]] is ignored: it means nothing in such a file")


def _each(kind: str, items: list[tuple[str, T]], proposed: Collection[str]) -> dict[str, T]:
    each: dict[str, T] = {}
    for uid, item in items:
        if uid in each:
            raise ValueError(f"{kind} has {uid} twice: leave one out")
        if uid not in proposed:
            raise ValueError(f"{kind} has {uid}, which is in no presentation context: add one")
        each[uid] = item
    return each


# Values -----------------------------------------------------------------------------------------


def _pair(value: str, second: str) -> tuple[str, str]:
    """Split an abstract syntax from what it is given."""
    name, backslash, rest = value.partition("\\")
    uid = abstract_syntax(name)
    if not backslash or not rest.strip():
        raise ValueError(f"a backslash and {second} are missing after {escape(name)}")
    return uid, rest.strip()


def _role(value: str) -> tuple[str, str]:
    uid, role = _pair(value, "a role")
    if role.upper() not in ("SCU", "SCP", "BOTH"):
        raise ValueError(f'"{escape(role)}" is no role: SCU, SCP or BOTH')
    return uid, role.upper()


def _information(value: str) -> tuple[str, bytes]:
    uid, digits = _pair(value, "bytes in hexadecimal")
    if len(digits) > 2 * LONGEST_INFORMATION:
        raise ValueError(f"more than {LONGEST_INFORMATION} bytes of information: shorten it")
    try:
        return uid, bytes.fromhex(digits)
    except ValueError:
        raise ValueError(f'"{escape(digits)}" is not bytes: two hexadecimal digits each') from None
