"""From a command line to what a statement is about. Nothing is opened but files of rules."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aiodicom import dcmrecv, echoscp, echoscu, storescp, storescu
from aiodicom.access.file import AccessFile
from aiodicom.access.rules import Access
from aiodicom.cli.access import access_of
from aiodicom.cli.ending import needs_port
from aiodicom.cli.limits import limits_of
from aiodicom.cli.network import timeouts_of
from aiodicom.cli.options import Command, UsageError, expand
from aiodicom.cli.profiles import load_profile, profile_of
from aiodicom.cli.proposals import propose
from aiodicom.cli.tls import wanted_tls
from aiodicom.conformance.agreements import Agreements, agreements_of
from aiodicom.limits import Limits, Timeouts
from aiodicom.storage.schemes import Names
from aiodicom.storage.sorting import Sorting
from aiodicom.wire.negotiation import VERIFICATION, Policy
from aiodicom.wire.proposal import Context

if TYPE_CHECKING:
    from aiodicom.tls import TLS

__all__ = ["ACCEPTORS", "REQUESTORS", "Acceptor", "Keeping", "Requestor", "read"]

Settings = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Keeping:
    """What becomes of objects that are received.

    Parameters
    ----------
    how : str
        "files"; "nothing" for objects that are dropped; "handler" for a program's own.
    durability : str
        As in `FileStorage`.
    has_own_names : bool
        Whether every object gets a name of its own, also one that was stored before.
    has_meta : bool
        Whether preamble and File Meta Information are written.
    sorting : Sorting or None
        How subfolders are made.
    waits_for_command : bool
        Whether the response waits for a command that is run for the object.
    """

    how: str = "files"
    durability: str = "durable"
    has_own_names: bool = False
    has_meta: bool = True
    sorting: Sorting | None = None
    waits_for_command: bool = False


@dataclass(frozen=True, slots=True)
class Acceptor:
    """What a receiving command line says."""

    command: str
    ae_title: str
    port: int | None
    tls_port: int | None
    policy: Policy
    agreements: Agreements
    keeping: Keeping
    limits: Limits
    timeouts: Timeouts
    access: Access
    tls: TLS | None
    workers: int
    grace: float
    needs_implementation: bool
    refuses: bool
    is_inetd: bool
    is_trial: bool
    http: tuple[str, int] | None
    announces: bool
    traces: bool

    @property
    def stores(self) -> bool:
        """Whether any storage SOP class is accepted."""
        return bool(self.agreements.storage)


@dataclass(frozen=True, slots=True)
class Requestor:
    """What a sending command line says."""

    command: str
    ae_title: str
    called_ae_title: str
    port: int | None
    contexts: tuple[Context, ...]
    follows_objects: bool
    maximum_length: int
    maximum_send_length: int
    window: int
    associations: int
    halts: bool
    roles: Mapping[str, str]
    extended: tuple[str, ...]
    identity: str
    wants_response: bool
    invents: bool
    without_new_vrs: bool
    timeouts: Timeouts
    tls: TLS | None

    @property
    def stores(self) -> bool:
        """Whether objects are sent."""
        return self.command == "storescu"


_COMMANDS: Mapping[str, Command] = {
    module.COMMAND.name: module.COMMAND
    for module in (storescp, dcmrecv, echoscp, storescu, echoscu)
}

_POLICIES: Mapping[str, Callable[[Settings], Policy]] = {
    module.COMMAND.name: module.policy for module in (storescp, dcmrecv, echoscp)
}

_TRIALS = ("sleep_after", "sleep_during", "abort_after", "abort_during")
"""What senders are tried with."""

_INVENTIONS = ("invents", "per_series", "per_study", "per_patient")
"""What gives objects another identity."""

ACCEPTORS = tuple(_POLICIES)
REQUESTORS = ("storescu", "echoscu")


def read(words: Sequence[str]) -> Acceptor | Requestor:
    """Return what a command line says, which begins with the command's name.

    What is a matter of one run may be missing: port, peer and files. Files of objects are not
    looked at.

    Raises
    ------
    UsageError
        Where it is not understood.
    Failed, AccessFileError
        Where a profile or an access file cannot be used.
    """
    name, *arguments = words
    command = _COMMANDS.get(name)
    if command is None:
        raise UsageError(f"no command {name}; one of {', '.join(_COMMANDS)}")
    command = dataclasses.replace(
        command,
        optional=tuple(command.parameters),
        checks=tuple(check for check in command.checks if check is not needs_port),
    )
    settings = command.parse(expand(arguments))
    return _acceptor(name, settings) if name in ACCEPTORS else _requestor(name, settings)


def _acceptor(name: str, settings: Settings) -> Acceptor:
    policy = _POLICIES[name](settings)
    access = access_of(settings)
    if isinstance(access, AccessFile):
        access = access.access
    assert access is None or isinstance(access, Access)
    return Acceptor(
        name,
        settings["ae_title"],
        settings["port"],
        settings.get("tls_port"),
        policy,
        agreements_of(policy, _classes_of_profile(settings)),
        _keeping(settings),
        limits_of(settings),
        timeouts_of(settings),
        access or Access(),
        wanted_tls(settings),
        settings["workers"],
        settings["grace"],
        needs_implementation=settings.get("rejects", False),
        refuses=settings.get("refuses", False),
        is_inetd=settings.get("inetd", False),
        is_trial=any(settings.get(name) for name in _TRIALS),
        http=settings["http"],
        announces=bool(settings.get("announce_urls")),
        traces=settings["otel"],
    )


def _classes_of_profile(settings: Settings) -> tuple[str, ...]:
    if settings.get("profile") is None:
        return ()
    return tuple(uid for uid, _ in load_profile(*settings["profile"], receiving=True).contexts)


def _keeping(settings: Settings) -> Keeping:
    if settings.get("handler"):
        return Keeping("handler")
    if settings.get("ignores") or settings.get("mode") == "ignore":
        return Keeping("nothing")
    return Keeping(
        "files",
        settings.get("durability", "durable"),
        settings.get("names", Names.INSTANCE) is not Names.INSTANCE,
        settings.get("with_meta", True),
        settings.get("sorting"),
        bool(settings.get("waits") and settings.get("on_reception")),
    )


def _requestor(name: str, settings: Settings) -> Requestor:
    profile = profile_of(settings, receiving=False)
    if name == "echoscu":
        contexts = ((VERIFICATION, settings["transfer_syntaxes"]),) * settings["contexts"]
    elif profile is not None:
        contexts = profile.contexts
    else:
        usual = propose(
            (), settings["proposal"], required=settings["required"], combine=settings["combine"]
        )
        contexts = usual or ()
    kinds = ("user", "kerberos", "saml", "jwt")
    return Requestor(
        name,
        settings["ae_title"],
        settings["called_ae_title"],
        settings["port"],
        contexts,
        name == "storescu" and profile is None,
        settings["maximum_length"],
        settings.get("maximum_send_length", 0),
        storescu.window_of(settings) if name == "storescu" else 1,
        settings.get("jobs", 1),
        settings.get("halt", True),
        profile.roles if profile is not None else {},
        tuple(profile.extended) if profile is not None else (),
        next((kind for kind in kinds if settings.get(kind) is not None), ""),
        settings.get("wants_response", False),
        any(settings.get(name) for name in _INVENTIONS),
        settings.get("without_new_vrs", False),
        timeouts_of(settings),
        wanted_tls(settings),
    )
