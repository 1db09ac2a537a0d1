"""``python -m aiodicom.dcmrecv PORT``: receive objects and store them, the simple way."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from aiodicom.cli.access import ACCESS, ACCESS_RULES
from aiodicom.cli.announcing import ANNOUNCING, ANNOUNCING_RULES, ONE_PROCESS, PARTS
from aiodicom.cli.common import GENERAL_OF_RECEIVERS, Failed, main
from aiodicom.cli.ending import GRACE, needs_port
from aiodicom.cli.limits import LIMITS, ROOM, check_limits
from aiodicom.cli.network import PROFILE, network_options
from aiodicom.cli.options import Command, Group, Option, port
from aiodicom.cli.receiving import ExitCodes, Receiving, policy_of, run, server_of
from aiodicom.cli.storing import DURABILITY, STORAGE_MODE, STORING_DEFAULTS, extension, storage_of
from aiodicom.cli.tls import TLS_ANSWERS, tls_options, tls_rules
from aiodicom.cli.trials import Trials, ignore
from aiodicom.cli.watching import WATCHING
from aiodicom.cli.workers import WORKERS, needs_one_worker
from aiodicom.server.server import Server
from aiodicom.storage.schemes import Names
from aiodicom.storage.sorting import by_series_date
from aiodicom.wire.negotiation import Policy

__all__ = ["COMMAND", "dcmrecv"]

CODES = ExitCodes(folder=45, listening=64, profile=66, tls=71)
"""As its ancestor has them."""

COMMAND = Command(
    "dcmrecv",
    "receives objects of every storage SOP class and stores them (simple receiver)",
    {"port": port},
    (
        GENERAL_OF_RECEIVERS,
        network_options("DCMRECV", "unlimited", "60", 16384, stores=True),
        Group(
            "application entity title",
            (
                Option(("-uca", "--use-called-aetitle"), "responds_as_called",
                       "always respond with called AE title (default, as PS3.8 demands)"),
            ),
        ),
        PROFILE,
        Group("processing options", (WORKERS, GRACE)),
        ACCESS,
        LIMITS,
        ROOM,
        WATCHING,
        *tls_options(acceptor=True),
        Group(
            "output options",
            (
                Option(("-od", "--output-directory"), "folder",
                       "write received objects to existing directory d (default: .)",
                       "[d]irectory"),
                Option(("-s", "--no-subdir"), "sorting",
                       "do not generate any subdirectories (default)", value=None),
                Option(("+ssd", "--series-date-subdir"), "sorting",
                       "generate subdirectories from series date", value=by_series_date()),
                Option(("+fd", "--default-filenames"), "names",
                       "generate filename from instance UID (default)", value=Names.INSTANCE),
                Option(("+fu", "--unique-filenames"), "names",
                       "generate unique filename based on new UID", value=Names.UNIQUE),
                Option(("+fsu", "--short-unique-names"), "names",
                       "generate short pseudo-random unique filename", value=Names.SHORT),
                Option(("+fst", "--system-time-names"), "names",
                       "generate filename from current system time", value=Names.MICROSECONDS),
                Option(("-fe", "--filename-extension"), "extension",
                       "append e to all generated filenames (default: none)",
                       "[e]xtension", extension),
                *STORAGE_MODE,
                DURABILITY,
                Option(("--ignore",), "mode", "ignore dataset, receive but do not store it",
                       value="ignore"),
            ),
        ),
        ANNOUNCING,
    ),
    {**STORING_DEFAULTS, "ae_title": "DCMRECV", "responds_as_called": True},
    (*ACCESS_RULES, *ANNOUNCING_RULES, *tls_rules(acceptor=True)),
    TLS_ANSWERS,
    (needs_port, needs_one_worker(PARTS, *ONE_PROCESS), check_limits),
    ("port",),
)  # fmt: skip


def policy(settings: Mapping[str, Any]) -> Policy:
    """Return what a command line agrees to.

    Raises
    ------
    Failed
        Where its profile cannot be used.
    """
    agreed = policy_of(settings, code=CODES.profile)
    return replace(agreed, needs_context=settings["profile"] is not None)


def make_server(settings: Mapping[str, Any]) -> Server:
    """Return the server that a command line asks for.

    Raises
    ------
    Failed
        Where there cannot be one.
    """
    _check_folder(settings["folder"])
    agreed = policy(settings)
    store = Trials(ignore)
    if settings["mode"] != "ignore":
        storage = storage_of(settings)
        store = Trials(storage, (storage,), folder_code=CODES.folder)
    return server_of(settings, agreed, Receiving(store), CODES)


def _check_folder(folder: str) -> None:
    if not os.path.isdir(folder):
        what = "is no directory" if os.path.exists(folder) else "does not exist: make it first"
        raise Failed(f"output directory {folder} {what}", CODES.folder)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise Failed(f"output directory {folder} cannot be written to", CODES.folder)


def _act(settings: Mapping[str, Any]) -> None:
    run(make_server(settings), CODES)


def dcmrecv(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    return main(COMMAND, _act, arguments)


if __name__ == "__main__":
    sys.exit(dcmrecv())
