"""The options of receivers about who may associate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiodicom.access.rules import Access, AccessRules, network_of
from aiodicom.cli.options import Group, Option, Rule, ae_title, excludes

__all__ = ["ACCESS", "ACCESS_DEFAULTS", "ACCESS_RULES", "access_of"]

_LISTS = {
    "called_ae_titles": "--require-called-aet",
    "calling_ae_titles": "--require-calling-aet",
    "allow": "--allow",
    "deny": "--deny",
}
"""Settings, which are those of `Access`, and their options."""


ACCESS = Group(
    "access options: who may associate (default: everybody)",
    (
        Option(("--require-called-aet",), "called_ae_titles",
               "accept only associations that call t, or another t that is given so",
               "[t]itle", ae_title, repeats=True),
        Option(("--require-calling-aet",), "calling_ae_titles",
               "accept only associations that are called by t, or another t that is given so",
               "[t]itle", ae_title, repeats=True),
        Option(("--allow",), "allow",
               "accept only connections from network or address n, or another one given so",
               "[n]etwork", network_of, repeats=True),
        Option(("--deny",), "deny",
               "accept no connection from network or address n, whatever is allowed",
               "[n]etwork", network_of, repeats=True),
        Option(("--access-file",), "access_file",
               "do what access file f says, which is read again on SIGHUP", "[f]ilename"),
    ),
)  # fmt: skip

ACCESS_DEFAULTS: Mapping[str, object] = {
    "called_ae_titles": None,
    "calling_ae_titles": None,
    "allow": None,
    "deny": None,
    "access_file": None,
}
"""What stands of them where nothing is said: everybody may."""

ACCESS_RULES: tuple[Rule, ...] = (excludes("--access-file", *_LISTS.values()),)
"""An access file says all of it: what a command line would add or take away is not guessed."""


def access_of(settings: Mapping[str, Any]) -> AccessRules | None:
    """Return what a command line says of who may associate; None for everybody.

    Raises
    ------
    AccessFileError
        Where its access file cannot be used.
    """
    if settings["access_file"] is not None:
        from aiodicom.access.file import AccessFile  # few have one

        return AccessFile(settings["access_file"])
    lists = {name: settings[name] for name in _LISTS if settings[name] is not None}
    return Access(**lists) if lists else None
