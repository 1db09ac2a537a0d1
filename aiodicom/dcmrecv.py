"""``python -m aiodicom.dcmrecv PORT``: receive objects and store them, the simple way."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from aiodicom.cli.access import ACCESS, ACCESS_RULES
from aiodicom.cli.announcing import (
    ANNOUNCING,
    ANNOUNCING_DEFAULTS,
    ANNOUNCING_RULES,
    ONE_PROCESS,
    PARTS,
    announcer_of,
)
from aiodicom.cli.common import GENERAL_OF_RECEIVERS, Failed, main
from aiodicom.cli.ending import GRACE, needs_port
from aiodicom.cli.limits import LIMITS, ROOM, ROOM_DEFAULTS, check_limits
from aiodicom.cli.network import PROFILE, network_options
from aiodicom.cli.options import Command, Group, Option, port
from aiodicom.cli.receiving import (
    DURABILITY,
    RECEIVER_DEFAULTS,
    STORAGE_MODE,
    WORKERS,
    ExitCodes,
    Receiving,
    Trials,
    extension,
    ignore,
    needs_one_worker,
    policy_of,
    run,
    server_of,
)
from aiodicom.cli.tls import TLS_ANSWERS, tls_options, tls_rules
from aiodicom.cli.watching import WATCHING
from aiodicom.server.server import Server
from aiodicom.storage.files import FileStorage
from aiodicom.storage.schemes import Layout, Names
from aiodicom.storage.sorting import by_series_date

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
    {
        **RECEIVER_DEFAULTS,
        **ROOM_DEFAULTS,
        **ANNOUNCING_DEFAULTS,
        "ae_title": "DCMRECV",
        "dimse": None,
        "network": 60.0,
        "maximum_length": 16384,
        "window": 1,
        "no_lookup": False,
        "responds_as_called": True,
        "profile": None,
        "folder": ".",
        "sorting": None,
        "names": Names.INSTANCE,
        "extension": "",
        "mode": "store",
        "durability": "durable",
    },
    (*ACCESS_RULES, *ANNOUNCING_RULES, *tls_rules(acceptor=True)),
    TLS_ANSWERS,
    (needs_port, needs_one_worker(PARTS, *ONE_PROCESS), check_limits),
    ("port",),
)  # fmt: skip


def make_server(settings: Mapping[str, Any]) -> Server:
    """Return the server that a command line asks for.

    Raises
    ------
    Failed
        Where there cannot be one.
    """
    _check_folder(settings["folder"])
    policy = policy_of(settings, codes=CODES)
    if settings["profile"] is not None:
        policy = replace(policy, needs_context=True)
    store = Trials(ignore)
    if settings["mode"] != "ignore":
        layout = Layout(settings["names"], settings["sorting"], settings["extension"])
        storage = FileStorage(
            settings["folder"],
            durability=settings["durability"],
            layout=layout,
            announcer=announcer_of(settings),
            least_free_bytes=settings["least_free_bytes"],
            least_free_inodes=settings["least_free_inodes"],
        )
        store = Trials(storage, (storage,), folder_code=CODES.folder)
    return server_of(settings, policy, Receiving(store), CODES)


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
