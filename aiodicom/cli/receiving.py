"""What the receiving commands share: from a command line's settings to a server that runs."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from aiodicom.acceptor.association import Service
from aiodicom.cli.access import ACCESS_DEFAULTS, access_of
from aiodicom.cli.common import DEFAULTS, Failed, reason
from aiodicom.cli.ending import sockets_of, take_connection
from aiodicom.cli.http import HTTP_DEFAULTS, pages_of
from aiodicom.cli.limits import LIMIT_DEFAULTS, limits_of
from aiodicom.cli.network import listeners_of, timeouts_of
from aiodicom.cli.options import Option, UsageError, count
from aiodicom.cli.profiles import ProfileError, load_profile
from aiodicom.cli.tls import ACCEPTOR_TLS_DEFAULTS, acceptor_tls
from aiodicom.cli.watching import WATCHING_DEFAULTS, watchers_of
from aiodicom.dataset import DatasetStream
from aiodicom.errors import AbortAssociation, AssociationRejected, DicomError
from aiodicom.events import Watcher
from aiodicom.requests import AssociationInfo, Authorize, StoreHandler, StoreRequest
from aiodicom.server.server import Server
from aiodicom.storage.free_space import Room
from aiodicom.storage.schemes import Layout
from aiodicom.wire.buffers import Block
from aiodicom.wire.dimse import Status
from aiodicom.wire.negotiation import Policy, Role, make_policy

__all__ = [
    "DURABILITY",
    "RECEIVER_DEFAULTS",
    "STORAGE_MODE",
    "WORKERS",
    "ExitCodes",
    "Receiving",
    "Trials",
    "admission",
    "extension",
    "ignore",
    "needs_one_worker",
    "policy_of",
    "run",
    "server_of",
]

logger = logging.getLogger("aiodicom.commands")

RECEIVER_DEFAULTS: Mapping[str, object] = {
    **DEFAULTS,
    **ACCEPTOR_TLS_DEFAULTS,
    **ACCESS_DEFAULTS,
    **LIMIT_DEFAULTS,
    **WATCHING_DEFAULTS,
    **HTTP_DEFAULTS,
    "verbose_pc": False,
    "host": None,
    "association": 30.0,
    "workers": 1,
    "grace": 5.0,
}
"""What stands of the options of all receivers where nothing is said."""

STORAGE_MODE = (
    Option(("-B", "--normal"), "mode", "the same as --bit-preserving: nothing is ever converted",
           value="store"),
    Option(("+B", "--bit-preserving"), "mode", "write dataset exactly as received (default)",
           value="store"),
)  # fmt: skip
"""Both are one thing here."""


def _durability(text: str) -> str:
    if text not in ("durable", "none"):
        raise ValueError(f"{text!r} is neither durable nor none")
    return text


DURABILITY = Option(
    ("--durability",), "durability",
    "success means on the disk (durable, default) or with the system (none)",
    "[w]hat", _durability,
)  # fmt: skip


NO_CONNECTION = 99
"""The exit code where inetd's connection is not there, as DCMTK has it."""

MAXIMUM_WORKERS = 128
"""More would have too little each of the memory that all of them may use."""

_some_workers = count(1, MAXIMUM_WORKERS)


def _workers(text: str) -> int:
    """Convert a number of workers."""
    if text != "auto":
        return _some_workers(text)
    if hasattr(os, "sched_getaffinity"):
        return min(len(os.sched_getaffinity(0)), MAXIMUM_WORKERS)
    return min(os.cpu_count() or 1, MAXIMUM_WORKERS)


WORKERS = Option(
    ("--workers",),
    "workers",
    "number of processes that share the port (default: 1; auto: one a core)",
    "[n]umber",
    _workers,
)
"""Of all receivers."""


def needs_one_worker(why: str, *names: str) -> Callable[[Mapping[str, object]], None]:
    """Return the check that some options, by their long names, are not used with several workers.

    Parameters
    ----------
    why : str
        Why not.
    """

    def check(settings: Mapping[str, object]) -> None:
        given = settings["given"]
        assert isinstance(given, frozenset)
        for name in names:
            if settings["workers"] != 1 and name in given:
                raise UsageError(f"{name} not allowed with --workers {settings['workers']}: {why}")

    return check


@dataclass(frozen=True, slots=True)
class ExitCodes:
    """What a command ends with where it cannot start."""

    folder: int = 1
    listening: int = 1
    profile: int = 1
    tls: int = 1


@dataclass(frozen=True, slots=True)
class Receiving:
    """What a command does for its peers, besides what is negotiated.

    Parameters
    ----------
    store : callable or None
        The store handler.
    authorize : callable or None
        Called before an association is accepted.
    watchers : tuple of callable
        Told of what happens.
    rest : float
        Seconds between the response to a C-STORE and what comes next.
    """

    store: StoreHandler | None = None
    authorize: Authorize | None = None
    watchers: tuple[Watcher, ...] = ()
    rest: float = 0


def extension(text: str) -> str:
    """Convert what is appended to file names."""
    return Layout(extension=text).extension


# Negotiation -----------------------------------------------------------------------------------


def policy_of(
    settings: Mapping[str, Any],
    *,
    stores: bool = True,
    verifies: bool = True,
    codes: ExitCodes | None = None,
) -> Policy:
    """Return what a command line agrees to; warns of what in a profile has no effect.

    Raises
    ------
    Failed
        Where its profile cannot be used.
    """
    length, window = settings["maximum_length"], settings.get("window", 1)
    if settings.get("profile") is None:
        return make_policy(
            stores=stores,
            verifies=verifies,
            transfer_syntaxes=settings.get("preference"),
            maximum_length=length,
            window=window,
        )
    try:
        profile = load_profile(*settings["profile"], receiving=True)
    except ProfileError as error:
        raise Failed(str(error), (codes or ExitCodes()).profile) from None
    for warning in profile.warnings:
        logger.warning("%s", warning)
    contexts = dict(profile.contexts)
    policy = make_policy(contexts=contexts, maximum_length=length, window=window)
    roles = {uid: Role[role] for uid, role in profile.roles.items()}
    return dataclasses.replace(policy, roles=roles, extended=profile.extended)


# The server ------------------------------------------------------------------------------------


def server_of(
    settings: Mapping[str, Any],
    policy: Policy,
    receiving: Receiving,
    codes: ExitCodes | None = None,
) -> Server:
    """Return the server that a command line asks for. It reads the files of TLS and access.

    Raises
    ------
    Failed
        Where there cannot be one.
    """
    codes = codes or ExitCodes()
    try:
        access = access_of(settings)
    except DicomError as error:
        raise Failed(str(error), codes.profile) from None
    try:
        ssl = acceptor_tls(settings)
    except DicomError as error:
        raise Failed(str(error), codes.tls) from None
    try:
        sockets = None if settings.get("inetd") else sockets_of(settings)
    except OSError as error:
        raise Failed(reason(error), codes.listening) from None
    level = logging.INFO if settings["verbose_pc"] else logging.DEBUG
    service = Service(
        policy,
        receiving.store,
        authorize=receiving.authorize,
        access=access,
        parameters_level=level,
        rest=receiving.rest,
    )
    return Server(
        service,
        ae_title=settings["ae_title"],
        listeners=listeners_of(settings, ssl),
        limits=limits_of(settings),
        timeouts=timeouts_of(settings),
        grace=settings["grace"],
        workers=settings["workers"],
        sockets=sockets,
        watchers=(
            *receiving.watchers,
            *watchers_of(settings),
            *pages_of(settings, getattr(receiving.store, "room", None)),
        ),
    )


def run(server: Server, codes: ExitCodes | None = None, *, inetd: bool = False) -> None:
    """Run a server until SIGINT or SIGTERM, or for the one connection that inetd has accepted.

    Raises
    ------
    Failed
        Where it cannot start.
    """
    try:
        connected = take_connection() if inetd else None
    except OSError as error:
        raise Failed(reason(error), NO_CONNECTION) from None
    try:
        server.run(connected, is_last=True)
    except OSError as error:
        raise Failed(reason(error), (codes or ExitCodes()).listening) from None


def admission(*, refuses: bool, rejects: bool) -> Authorize | None:
    """Return what lets associations be.

    Parameters
    ----------
    refuses : bool
        Whether nobody is let in.
    rejects : bool
        Whether who has no implementation class UID (PS3.7 D.3.3.2) is not.
    """

    async def authorize(info: AssociationInfo) -> None:
        if refuses:
            raise AssociationRejected("--refuse", 1, 1, 1)
        if not info.request.implementation_class_uid:
            raise AssociationRejected("--reject: no implementation class UID", 1, 1, 1)

    return authorize if refuses or rejects else None


# Store handlers --------------------------------------------------------------------------------


async def ignore(request: StoreRequest) -> int:
    """Take an object and drop it."""
    await _drop(request.dataset)
    return Status.SUCCESS


async def _drop(dataset: DatasetStream) -> None:
    while (block := await dataset.block()) is not None:
        block.release()


class SlowDataset(DatasetStream):
    """A dataset of which every part comes some seconds late."""

    def __init__(self, dataset: DatasetStream, seconds: float) -> None:
        super().__init__(dataset.discard)
        self._dataset = dataset
        self._seconds = seconds

    async def block(self, at_least: int = 1) -> Block | None:
        """Wait, and return what has come by then; see `DatasetStream.block`."""
        if self._dataset.consumed:
            return None
        await asyncio.sleep(self._seconds)
        block = await self._dataset.block()
        self.size, self.complete = self._dataset.size, self._dataset.complete
        return block


class Trials:
    """A store handler before which senders are tried: with delays, and with aborts.

    Parameters
    ----------
    store : callable
        What stores.
    handlers : sequence of context managers
        What is entered before it serves, in order.
    sleep_during : float
        Seconds before each part of a dataset is taken.
    abort_during, abort_after : bool
        Whether the association is aborted when a part of a dataset has come, or all of it.
        Then nothing is stored.
    folder_code : int
        The exit code of a command whose store handler cannot be set up.
    """

    def __init__(
        self,
        store: StoreHandler,
        handlers: Sequence[contextlib.AbstractAsyncContextManager[object]] = (),
        *,
        sleep_during: float = 0,
        abort_during: bool = False,
        abort_after: bool = False,
        folder_code: int = 1,
    ) -> None:
        self._store = store
        self._handlers = handlers
        self._sleep_during = sleep_during
        self._abort_during = abort_during
        self._abort_after = abort_after
        self._folder_code = folder_code
        self._entered = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        try:
            for handler in self._handlers:
                await self._entered.enter_async_context(handler)
        except OSError as error:
            await self._entered.aclose()
            raise Failed(reason(error), self._folder_code) from None
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._entered.aclose()

    def admit(self, info: AssociationInfo) -> None:
        """Ask what stores whether it can take an association."""
        ask = getattr(self._store, "admit", None)
        if ask is not None:
            ask(info)

    def room(self) -> Room | None:
        """Ask what stores what room it has, where it knows."""
        ask = getattr(self._store, "room", None)
        return None if ask is None else ask()

    async def __call__(self, request: StoreRequest) -> int:
        """Store one object, or abort.

        Raises
        ------
        AbortAssociation
            Where the command line wants that.
        """
        if self._sleep_during:
            request.dataset = SlowDataset(request.dataset, self._sleep_during)
        if self._abort_during:
            block = await request.dataset.block()
            if block is not None:
                block.release()
            raise AbortAssociation("--abort-during")
        if self._abort_after:
            await _drop(request.dataset)
            raise AbortAssociation("--abort-after")
        return await self._store(request)
