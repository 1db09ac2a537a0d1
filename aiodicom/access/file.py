"""Who may associate, from a TOML file that is read again while the server runs."""

from __future__ import annotations

import asyncio
import functools
import os
import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from aiodicom.access.passwords import Passwords
from aiodicom.access.rules import Access, Binding
from aiodicom.describe import escape_path
from aiodicom.errors import DicomError
from aiodicom.requests import AssociationInfo

__all__ = ["AccessFile", "AccessFileError", "read_access"]


_T = TypeVar("_T")

_OF_ALL = ("called_ae_titles", "calling_ae_titles", "allow", "deny")
_OF_A_RULE = ("networks", "certificate_names", "certificate_subjects")
"""The keys that have lists: those of the file, and those of a rule."""


class AccessFileError(DicomError):
    """An access file cannot be used: which file and key, why, and what would be right."""


class AccessFile:
    """Who may associate, as a file says; `reload` reads it again.

    It is read when this object is made, which blocks for as long as that takes.

    Parameters
    ----------
    path : str or path
        A TOML file, see ``docs/access.md``. What it names is looked for beside it.

    Attributes
    ----------
    access : Access
        What it said when it was read last.

    Raises
    ------
    AccessFileError
        Where it cannot be read, or is wrong.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)
        self.access = read_access(self._path)

    async def reload(self) -> str:
        """Read the file again. Associations that there are stay; connections and new ones obey.

        Returns
        -------
        str
            What was read, for the log.

        Raises
        ------
        AccessFileError
            Where it cannot be read, or is wrong: then what was read before stays.
        """
        self.access = await asyncio.to_thread(read_access, self._path)
        rules, verify = len(tuple(self.access.bindings)), self.access.verify
        users = f", {len(verify)} users" if isinstance(verify, Passwords) else ""
        return f"{_name(self._path)}: {rules} rules{users}"

    def allows(self, address: str) -> bool:
        """See `Access.allows`."""
        return self.access.allows(address)

    def check(self, info: AssociationInfo) -> None:
        """See `Access.check`."""
        self.access.check(info)

    async def identify(self, info: AssociationInfo) -> bytes | None:
        """See `Access.identify`."""
        return await self.access.identify(info)


def read_access(path: Path) -> Access:
    """Return what an access file says.

    Raises
    ------
    AccessFileError
        Where it cannot be read, or is wrong.
    """
    name = _name(path)
    try:
        return _access(tomllib.loads(_text(path)), path.parent)
    except OSError as error:
        raise AccessFileError(f"{name}: {error.strerror}: it must be readable") from None
    except tomllib.TOMLDecodeError as error:
        raise AccessFileError(f"{name} is no TOML: {error}") from None
    except ValueError as error:
        raise AccessFileError(f"{name}: {error}") from None


def _name(path: Path) -> str:
    return f"access file {escape_path(str(path))}"


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise ValueError("it is no UTF-8: save it as such") from None


def _access(table: Mapping[str, Any], folder: Path) -> Access:
    _check_keys(table, (*_OF_ALL, "rule", "identity"), "")
    settings: dict[str, Any] = {**_lists(Access, table, _OF_ALL, "")}
    rules = table.get("rule", [])
    if not isinstance(rules, list) or not all(isinstance(rule, dict) for rule in rules):
        raise ValueError("rule: it is a table; write [[rule]] above each of them")
    bindings = [_binding(rule, f"rule {number}: ") for number, rule in enumerate(rules, 1)]
    users = _users(table["identity"], folder) if "identity" in table else {}
    return Access(bindings=bindings, **settings, **users)


def _binding(table: Mapping[str, Any], where: str) -> Binding:
    _check_keys(table, ("calling_ae_title", *_OF_A_RULE), where)
    title = table.get("calling_ae_title")
    if not isinstance(title, str):
        raise ValueError(f'{where}calling_ae_title: it has none; write calling_ae_title = "..."')
    bind = functools.partial(Binding, title)
    _tried(bind, f"{where}calling_ae_title")
    return bind(**_lists(bind, table, _OF_A_RULE, where))


def _users(table: object, folder: Path) -> dict[str, Any]:
    if not isinstance(table, dict):
        raise ValueError("identity: it is no table; write [identity] above its keys")
    _check_keys(table, ("users", "required"), "identity: ")
    users, required = table.get("users"), table.get("required", True)
    if not isinstance(users, str):
        raise ValueError('identity: users: there are none; write users = "FILE"')
    if not isinstance(required, bool):
        raise ValueError(f"identity: required: {required!r} is neither true nor false")
    path = folder / users
    try:
        passwords = Passwords.parse(_text(path))
    except OSError as error:
        raise ValueError(
            f"identity: users: {escape_path(str(path))}: {error.strerror}: it must be readable"
        ) from None
    except ValueError as error:
        raise ValueError(f"identity: users: {escape_path(str(path))}: {error}") from None
    return {"verify": passwords, "require_identity": required}


def _check_keys(table: Mapping[str, Any], known: Sequence[str], where: str) -> None:
    for key in table:
        if key not in known:
            raise ValueError(f"{where}{key}: there is no such key; these are: {', '.join(known)}")


def _lists(
    make: Callable[..., object], table: Mapping[str, Any], keys: Sequence[str], where: str
) -> dict[str, list[str]]:
    """Return the lists that a table has, each of which `make` takes."""
    found: dict[str, list[str]] = {}
    for key in keys:
        if key in table:
            value = table[key]
            if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
                raise ValueError(f'{where}{key}: {value!r} is no list such as ["...", "..."]')
            found[key] = value
            _tried(functools.partial(make, **{key: value}), f"{where}{key}")
    return found


def _tried(make: Callable[[], _T], what: str) -> _T:
    try:
        return make()
    except ValueError as error:
        raise ValueError(f"{what}: {error}") from None
