"""``python -m aiodicom.storescp PORT``: receive objects and store them."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from aiodicom.announcing.templates import reception_command, study_command
from aiodicom.cli.access import ACCESS, ACCESS_RULES
from aiodicom.cli.actions import Actions
from aiodicom.cli.announcing import ANNOUNCING, ANNOUNCING_RULES, ONE_PROCESS, PARTS
from aiodicom.cli.common import GENERAL_OF_RECEIVERS, main
from aiodicom.cli.ending import GRACE, INETD, needs_port, no_workers_with_inetd
from aiodicom.cli.handler import HANDLER, handling
from aiodicom.cli.limits import LIMITS, ROOM, check_limits
from aiodicom.cli.network import PROFILE, network_options, not_with_profile
from aiodicom.cli.options import Command, Group, Option, count, excludes, needs, port, size
from aiodicom.cli.receiving import Receiving, policy_of, run, server_of
from aiodicom.cli.storing import DURABILITY, STORAGE_MODE, STORING_DEFAULTS, extension, storage_of
from aiodicom.cli.syntaxes import preference_options
from aiodicom.cli.tls import TLS_ANSWERS, tls_options, tls_rules
from aiodicom.cli.trials import TRIAL_DEFAULTS, TRIALS, ignore, tried
from aiodicom.cli.watching import WATCHING, check_watching
from aiodicom.cli.workers import WORKERS, needs_one_worker
from aiodicom.events import AssociationEnded, Event
from aiodicom.server.server import Server
from aiodicom.storage.schemes import Names
from aiodicom.storage.sorting import by_patient_name, by_study_time, by_study_uid
from aiodicom.storage.studies import Studies
from aiodicom.wire.negotiation import Policy

__all__ = ["COMMAND", "storescp"]

_AS_RECEIVED = "objects are stored as they are received; convert the files with DCMTK's dcmconv"
_SIDE_BY_SIDE = "associations are served side by side; --max-associations 1 admits one at a time"
_NO_WRAPPERS = "TCP wrappers are not asked here; have a firewall choose who may connect"

_PREFERENCE = preference_options(plus_prefix=True)

_PROCESSING = Group(
    "processing options",
    (
        Option(("--fork",), "process", "serve associations side by side (default)"),
        Option(("--single-process",), "process", "serve one association after the other: no effect",
               note=_SIDE_BY_SIDE),
        WORKERS,
        INETD,
        GRACE,
        HANDLER,
        Option(("-ac", "--access-full"), "access", "do not ask TCP wrappers (default)"),
        Option(("+ac", "--access-control"), "access", "ask TCP wrappers: no effect",
               note=_NO_WRAPPERS),
        Option(("--no-echo",), "verifies", "do not accept Verification", value=False),
        Option(("-pm", "--promiscuous"), "promiscuous",
               "accept unknown SOP classes (default, but for --config-file)"),
        Option(("-up", "--uid-padding"), "uid_padding",
               "compare UIDs without trailing spaces (default)"),
        Option(("-b",), "maximum_length", "the same as --max-pdu", "[n]umber", size),
    ),
)  # fmt: skip

_OUTPUT = Group(
    "output options",
    (
        Option(("-od", "--output-directory"), "folder",
               "write received objects to directory d (default: .)", "[d]irectory"),
        *STORAGE_MODE,
        DURABILITY,
        Option(("+F", "--write-file"), "with_meta", "write file format (default)"),
        Option(("-F", "--write-dataset"), "with_meta",
               "write data set without file meta information", value=False),
    ),
)  # fmt: skip


def _kept(names: str, dest: str, what: str) -> Option:
    """Return an option that asks for what is done in any case."""
    return Option(tuple(names.split()), dest, f"{what} (default)")


def _not_converted(names: str, dest: str, what: str, metavar: str = "") -> Option:
    """Return an option that asks for objects to be written differently."""
    convert = count(0) if metavar else str
    said = f"{what}: no effect"
    return Option(tuple(names.split()), dest, said, metavar, convert, note=_AS_RECEIVED)


_CONVERSION = Group(
    "output options for conversion: objects are stored as they are received",
    (
        _kept("+t= --write-xfer-same", "write_xfer", "keep transfer syntax"),
        _not_converted("+te --write-xfer-little", "write_xfer",
                       "write with explicit VR little endian"),
        _not_converted("+tb --write-xfer-big", "write_xfer", "write with explicit VR big endian"),
        _not_converted("+ti --write-xfer-implicit", "write_xfer",
                       "write with implicit VR little endian"),
        _not_converted("+td --write-xfer-deflated", "write_xfer",
                       "write with deflated explicit VR little endian"),
        _kept("+u --enable-new-vr", "new_vr", "keep newer value representations"),
        _not_converted("-u --disable-new-vr", "new_vr", "convert newer value representations"),
        _kept("+g= --group-length-recalc", "group_length", "keep group lengths"),
        _not_converted("+g --group-length-create", "group_length", "always write group lengths"),
        _not_converted("-g --group-length-remove", "group_length",
                       "always write without group lengths"),
        _kept("+e --length-explicit", "lengths", "keep lengths of sequences and items"),
        _not_converted("-e --length-undefined", "lengths", "write with undefined lengths"),
        _kept("-p --padding-off", "padding", "add no padding"),
        _not_converted("+p --padding-create", "padding",
                       "align file and items on multiples of bytes", "[f]ile-pad [i]tem-pad"),
        _kept("-uc --retain-un", "unknown", "keep elements of unknown VR"),
        _not_converted("+uc --convert-un", "unknown", "convert elements of unknown VR"),
        _not_converted("+cl --compression-level", "compression",
                       "compression level for deflated", "[l]evel"),
    ),
)  # fmt: skip

_NAMES = Group(
    "sorting into subdirectories, and filenames",
    (
        Option(("-ss", "--sort-conc-studies"), "sorting",
               "sort studies into subdirectories [p_]time, a new one for every run of a study",
               "[p]refix", by_study_time),
        Option(("-su", "--sort-on-study-uid"), "sorting",
               "sort studies into subdirectories [p_]Study Instance UID", "[p]refix", by_study_uid),
        Option(("-sp", "--sort-on-patientname"), "sorting",
               "sort studies into subdirectories Patient's Name_time", value=by_patient_name()),
        Option(("-uf", "--default-filenames"), "names",
               "generate filename from instance UID (default)", value=Names.INSTANCE),
        Option(("+uf", "--unique-filenames"), "names", "generate unique filenames",
               value=Names.UNIQUE),
        Option(("--timenames",), "names", "generate filename from creation time",
               value=Names.MILLISECONDS),
        Option(("-fe", "--filename-extension"), "extension", "append e to all filenames",
               "[e]xtension", extension),
    ),
)  # fmt: skip

_EVENTS = Group(
    "event options",
    (
        Option(("-xcr", "--exec-on-reception"), "on_reception",
               "execute command c for each object, with #p #f #a #c #r in it",
               "[c]ommand", reception_command),
        Option(("-xcs", "--exec-on-eostudy"), "on_study_end",
               "execute command c for each study that has ended, with #p #a #c #r in it",
               "[c]ommand", study_command),
        Option(("-rns", "--rename-on-eostudy"), "renames",
               "rename files of a study that has ended to modality and number"),
        Option(("-tos", "--eostudy-timeout"), "study_timeout",
               "a study has ended s seconds after its last object", "[s]econds", count(0)),
        Option(("-xs", "--exec-sync"), "waits", "answer after the command for the object"),
    ),
)  # fmt: skip

_SORTING = ("--sort-conc-studies", "--sort-on-study-uid", "--sort-on-patientname")

_WHOLE_STUDIES = (
    "--sort-conc-studies",
    "--sort-on-patientname",
    "--exec-on-eostudy",
    "--rename-on-eostudy",
    "--eostudy-timeout",
)

_OF_FILES = tuple(
    option.name
    for group in (_OUTPUT, _NAMES, _EVENTS, ANNOUNCING, _CONVERSION, ROOM)
    for option in group.options
)
_BEFORE_FILES = ("--ignore", "--sleep-during", "--abort-after", "--abort-during")
"""What is about files, and what is done instead of storing them: a handler of one's own does it."""

_NOT_WITH_INETD = (
    "--bind-address",
    "--tls-port",
    "--http",
    "--max-associations",
    "--exec-on-eostudy",
    "--rename-on-eostudy",
    "--eostudy-timeout",
)
"""A process for each association knows nothing of the others."""

COMMAND = Command(
    "storescp",
    "receives objects of every storage SOP class and stores them",
    {"port": port},
    (
        GENERAL_OF_RECEIVERS,
        network_options("STORESCP", "unlimited", "60", 16384, stores=True),
        PROFILE,
        _PREFERENCE,
        _PROCESSING,
        ACCESS,
        LIMITS,
        ROOM,
        WATCHING,
        *tls_options(acceptor=True),
        _OUTPUT,
        _NAMES,
        _EVENTS,
        ANNOUNCING,
        _CONVERSION,
        TRIALS,
    ),
    {
        **STORING_DEFAULTS,
        **TRIAL_DEFAULTS,
        "ae_title": "STORESCP",
        "preference": None,
        "inetd": False,
        "handler": None,
        "verifies": True,
        "promiscuous": True,
        "uid_padding": True,
        "with_meta": True,
        "on_reception": None,
        "on_study_end": None,
        "renames": False,
        "study_timeout": None,
        "waits": False,
    },
    (
        not_with_profile(_PREFERENCE, names=("--promiscuous", "--no-echo")),
        needs("--exec-on-eostudy", *_SORTING),
        needs("--rename-on-eostudy", *_SORTING),
        needs("--eostudy-timeout", *_SORTING),
        excludes("--ignore", "--exec-on-reception", "--exec-on-eostudy", "--rename-on-eostudy"),
        *ACCESS_RULES,
        excludes("--inetd", *_NOT_WITH_INETD, *ONE_PROCESS),
        excludes("--handler", *_OF_FILES, *_BEFORE_FILES),
        *ANNOUNCING_RULES,
        *tls_rules(acceptor=True),
    ),
    TLS_ANSWERS,
    (
        needs_port,
        no_workers_with_inetd,
        needs_one_worker(PARTS, *_WHOLE_STUDIES, *ONE_PROCESS),
        check_limits,
        check_watching,
    ),
    ("port",),
)


def policy(settings: Mapping[str, Any]) -> Policy:
    """Return what a command line agrees to.

    Raises
    ------
    Failed
        Where its profile cannot be used.
    """
    return policy_of(settings, verifies=settings["verifies"])


def make_server(settings: Mapping[str, Any]) -> Server:
    """Return the server that a command line asks for.

    Raises
    ------
    Failed
        Where there cannot be one.
    """
    agreed = policy(settings)
    if settings["handler"] is not None:
        receiving = handling(settings)
    elif settings["ignores"]:
        receiving = tried(settings, ignore)
    else:
        receiving = _storing(settings)
    return server_of(settings, agreed, receiving)


def _storing(settings: Mapping[str, Any]) -> Receiving:
    workers = settings["workers"]
    actions = Actions(
        on_reception=settings["on_reception"],
        on_study_end=settings["on_study_end"],
        waits=settings["waits"],
        looks_up=not settings["no_lookup"],
        at_once=max((os.cpu_count() or 1) // workers, 1),
    )
    studies = Studies(
        timeout=settings["study_timeout"],
        renames=settings["renames"],
        on_end=actions.study_ended,
    )
    storage = storage_of(
        settings,
        with_meta=settings["with_meta"],
        on_stored=actions.stored if settings["on_reception"] else None,
        studies=studies if workers == 1 else None,
    )

    def end_association(event: Event) -> None:
        if isinstance(event, AssociationEnded):
            studies.association_ended(event.association.number)

    has_studies = workers == 1 and settings["sorting"] is not None
    watchers = (end_association,) if has_studies else ()
    return tried(settings, storage, (actions, storage), watchers)


def _act(settings: Mapping[str, Any]) -> None:
    run(make_server(settings), inetd=settings["inetd"])


def storescp(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    return main(COMMAND, _act, arguments)


if __name__ == "__main__":
    sys.exit(storescp())
