"""What the commands that ask for associations share."""

from __future__ import annotations

import asyncio
import importlib.util
import logging
from collections.abc import Coroutine, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiodicom.cli import tls
from aiodicom.cli.common import Failed, failing_with
from aiodicom.cli.network import timeouts_of
from aiodicom.cli.options import Group, Option, Rule, excludes, needs
from aiodicom.client import Requestor
from aiodicom.describe import accept_lines, request_lines
from aiodicom.errors import DicomError
from aiodicom.wire.items import (
    RoleSelection,
    SOPClassExtendedNegotiation,
    UserIdentity,
)

if TYPE_CHECKING:
    from aiodicom.cli.profiles import Profile

__all__ = [
    "IDENTITY_DEFAULTS",
    "IDENTITY_OPTIONS",
    "IDENTITY_RULES",
    "connection_settings",
    "identity_of",
    "negotiation_items",
    "run",
    "show_contexts",
]

logger = logging.getLogger("aiodicom")

IDENTITY_OPTIONS = Group(
    "user identity negotiation",
    (
        Option(("-usr", "--user"), "user", "authenticate using user name u", "[u]ser"),
        Option(("-pwd", "--password"), "password",
               "authenticate using password p (only with --user)", "[p]assword"),
        Option(("-epw", "--empty-password"), "password",
               "send an empty password (only with --user)", value=""),
        Option(("-kt", "--kerberos"), "kerberos",
               "read a Kerberos ticket from file f", "[f]ilename"),
        Option(("--saml",), "saml", "read a SAML assertion from file f", "[f]ilename"),
        Option(("--jwt",), "jwt", "read a JSON Web Token from file f", "[f]ilename"),
        Option(("-rsp", "--pos-response"), "wants_response",
               "expect a positive response, and do nothing without one"),
    ),
)  # fmt: skip

IDENTITY_DEFAULTS: Mapping[str, object] = {
    "user": None,
    "password": None,
    "kerberos": None,
    "saml": None,
    "jwt": None,
    "wants_response": False,
}

LONGEST_IDENTITY = 65_000
"""Bytes of a user identity: the item that it is in has 65,535, and holds other things too."""

_WHO = ("--user", "--kerberos", "--saml", "--jwt")

IDENTITY_RULES: tuple[Rule, ...] = (
    needs("--password", "--user"),
    needs("--empty-password", "--user"),
    needs("--pos-response", *_WHO),
    *(excludes(name, *_WHO[number + 1 :]) for number, name in enumerate(_WHO)),
)


def identity_of(settings: Mapping[str, Any]) -> UserIdentity | None:
    """Return the user identity that a command line gives (PS3.7 D.3.3.7).

    Raises
    ------
    OSError
        Where its file cannot be read.
    Failed
        Where it is too long, or no text.
    """
    try:
        identity = _identity(settings)
    except UnicodeEncodeError:
        raise Failed("the user's name or password is no UTF-8: type it in a UTF-8 locale") from None
    length = len(identity.primary) + len(identity.secondary) if identity else 0
    if length > LONGEST_IDENTITY:
        raise Failed(
            f"a user identity of {length} bytes, and an association has room for "
            f"{LONGEST_IDENTITY}: use a shorter one"
        )
    return identity


def _identity(settings: Mapping[str, Any]) -> UserIdentity | None:
    response = settings["wants_response"]
    if settings["user"] is not None:
        return UserIdentity.user(settings["user"], settings["password"], response=response)
    makers = {
        "kerberos": UserIdentity.kerberos,
        "saml": UserIdentity.saml,
        "jwt": UserIdentity.jwt,
    }
    for name, make in makers.items():
        if settings[name] is not None:
            return make(Path(settings[name]).read_bytes(), response=response)
    return None


def connection_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `aiodicom.connect` is to be told of how the peer is reached.

    Raises
    ------
    Failed
        Where a key or certificate cannot be used.
    """
    with failing_with(1, DicomError):
        context = tls.requestor_context(settings)
    return {
        "host": settings["peer"],
        "port": settings["port"],
        "called_ae_title": settings["called_ae_title"],
        "calling_ae_title": settings["ae_title"],
        "maximum_length": settings["maximum_length"],
        "timeouts": timeouts_of(settings),
        "family": settings["family"],
        "ssl": context,
        "server_hostname": tls.server_name(settings),
    }


def negotiation_items(profile: Profile | None) -> dict[str, Any]:
    """Return what `aiodicom.connect` is to be told of a profile besides its contexts."""
    if profile is None:
        return {}
    return {
        "roles": [
            RoleSelection(uid, int(role != "SCP"), int(role != "SCU"))
            for uid, role in profile.roles.items()
        ],
        "extended": [
            SOPClassExtendedNegotiation(uid, data) for uid, data in profile.extended.items()
        ],
    }


def show_contexts(settings: Mapping[str, Any], requestor: Requestor) -> None:
    """Show what was proposed and agreed on, where that is asked for."""
    agreed = requestor.agreed
    if settings["verbose_pc"]:
        lines = *request_lines(agreed.request, "OUTGOING"), *accept_lines(agreed.accept, "INCOMING")
        for line in lines:
            logger.info("%s", line)


def run(action: Coroutine[Any, Any, int], *, shows_names: bool = False) -> int:
    """Run a command's coroutine, on uvloop where that is installed; return its exit code.

    Parameters
    ----------
    action : coroutine
        What the command does.
    shows_names : bool
        Whether it shows the names of UIDs also where it does not debug.
    """
    if shows_names or logger.isEnabledFor(logging.DEBUG):
        import pydicom.uid  # noqa: F401 - a tenth of a second that the loop must not wait for
    factory = None
    if importlib.util.find_spec("uvloop") is not None:
        import uvloop

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(action)
