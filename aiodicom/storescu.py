"""``python -m aiodicom.storescu PEER PORT FILE...``: send objects."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import aiodicom
from aiodicom.cli import requesting
from aiodicom.cli.common import DEFAULTS, GENERAL_OF_STORESCU, Failed, main
from aiodicom.cli.inputs import find_files
from aiodicom.cli.network import PROFILE, REQUESTOR_DEFAULTS, not_with_profile, requestor_options
from aiodicom.cli.options import Command, Group, Option, count, needs, port
from aiodicom.cli.outcome import ASSOCIATION_FAILED, FAILED, Outcome
from aiodicom.cli.profiles import Profile, profile_of
from aiodicom.cli.progress import Progress
from aiodicom.cli.proposals import propose
from aiodicom.cli.showing import make_progress
from aiodicom.cli.syntaxes import proposal_options
from aiodicom.cli.tls import TLS_ANSWERS, TLS_DEFAULTS, tls_options, tls_rules
from aiodicom.client.results import StoreResult
from aiodicom.describe import escape_path
from aiodicom.errors import AssociationClosed, AssociationRejected, DicomError, NotSent
from aiodicom.objects.invent import Inventor
from aiodicom.wire.proposal import Context

__all__ = ["COMMAND", "storescu"]

logger = logging.getLogger("aiodicom.storescu")

_INPUT = Group(
    "input options",
    (
        Option(("+f", "--read-file"), "form", "read file format or dataset (default)",
               value="any"),
        Option(("+fo", "--read-file-only"), "form", "read file format only", value="file"),
        Option(("-f", "--read-dataset"), "form",
               "read dataset without file meta information", value="dataset"),
        Option(("+sd", "--scan-directories"), "scan",
               "take the files in directories (done in any case)"),
        Option(("+sp", "--scan-pattern"), "pattern",
               "wildcards for files in directories (only with --scan-directories)", "[p]attern"),
        Option(("--no-recurse",), "recurse", "not those in their subdirectories (default)",
               value=False),
        Option(("-r", "+r", "--recurse"), "recurse", "those in their subdirectories as well"),
        Option(("-rn", "--no-rename"), "rename", "do not rename processed files (default)",
               value=False),
        Option(("+rn", "--rename"), "rename", "append .done or .bad to processed files"),
    ),
)  # fmt: skip

_PROPOSALS = proposal_options()

_WHICH_PROPOSALS = Group(
    "presentation contexts",
    (
        Option(("-R", "-cx", "--required-contexts", "--required"), "required",
               "propose only what the files need (default: what is usual as well)"),
        Option(("+C", "--combine"), "combine",
               "combine proposed transfer syntaxes (default: one presentation context for each)"),
    ),
)  # fmt: skip

_OBJECTS = Group(
    "what is sent",
    (
        Option(("+u", "--enable-new-vr"), "without_new_vrs",
               "keep value representations newer than 1993 (default)", value=False),
        Option(("-u", "--disable-new-vr"), "without_new_vrs",
               "convert UN, UT and what is newer to OB"),
        Option(("+cl", "--compression-level"), "compression_level",
               "0 to 9 for deflated datasets (default: 6)", "[l]evel", count(0, 9)),
        Option(("+II", "--invent-instance"), "invents",
               "invent a new SOP instance UID for every object"),
        Option(("+IR", "--invent-series"), "per_series",
               "and a new series UID after n objects (100 with the options below)",
               "[n]umber", count(1)),
        Option(("+IS", "--invent-study"), "per_study",
               "and a new study UID after n series (50 with the option below)",
               "[n]umber", count(1)),
        Option(("+IP", "--invent-patient"), "per_patient",
               "and a new patient ID and name after n studies", "[n]umber", count(1)),
        Option(("-up", "--uid-padding"), "uid_padding",
               "correct space-padded UIDs (done in any case)"),
    ),
)  # fmt: skip

_SENDING = Group(
    "sending",
    (
        Option(("--repeat",), "repeat", "send every file n times", "[n]umber", count(1)),
        Option(("--abort",), "aborts", "abort association instead of releasing it"),
        Option(("--halt",), "halt", "halt at the first unsuccessful store (default)"),
        Option(("-nh", "--no-halt"), "halt",
               "do not halt at an unsuccessful store", value=False),
        Option(("--jobs",), "jobs", "send over n associations at a time (default: 1)",
               "[n]umber", count(1, 1000)),
        Option(("--window",), "window",
               "requests that may be unanswered, if the peer agrees (default: 8; 1 if halting)",
               "[n]umber", count(0, 65535)),
    ),
)  # fmt: skip

COMMAND = Command(
    "storescu",
    "sends objects",
    {"peer": str, "port": port, "dcmfile-in...": str},
    (
        GENERAL_OF_STORESCU,
        _INPUT,
        requestor_options("STORESCU", max_send_pdu=True),
        _PROPOSALS,
        _WHICH_PROPOSALS,
        PROFILE,
        _OBJECTS,
        requesting.IDENTITY_OPTIONS,
        _SENDING,
        *tls_options(acceptor=False),
    ),
    {
        **DEFAULTS,
        **REQUESTOR_DEFAULTS,
        **requesting.IDENTITY_DEFAULTS,
        **TLS_DEFAULTS,
        "ae_title": "STORESCU",
        "form": "any",
        "scan": False,
        "pattern": None,
        "recurse": False,
        "rename": False,
        "proposal": None,
        "profile": None,
        "required": False,
        "combine": False,
        "verbose_pc": False,
        "without_new_vrs": False,
        "compression_level": 6,
        "invents": False,
        "per_series": None,
        "per_study": None,
        "per_patient": None,
        "uid_padding": False,
        "maximum_send_length": 0,
        "repeat": 1,
        "aborts": False,
        "halt": True,
        "jobs": 1,
        "window": None,
    },
    (
        needs("--scan-pattern", "--scan-directories"),
        not_with_profile(_PROPOSALS, names=("--required", "--combine")),
        needs("--compression-level", "--propose-deflated", "--config-file"),
        *requesting.IDENTITY_RULES,
        *tls_rules(acceptor=False),
    ),
    TLS_ANSWERS,
)  # fmt: skip


def _act(settings: dict[str, Any]) -> int:
    profile = profile_of(settings, receiving=False)
    headers, outcome = _read(settings)
    if outcome.exit_code and settings["halt"]:
        if headers:
            logger.critical("nothing is sent because of that: --no-halt sends the other files")
        return outcome.exit_code
    if not headers:
        logger.critical("no input files to be sent")
        return outcome.exit_code or FAILED
    requestor = _requestor(settings, headers, profile)
    total = sum(header.size for header in headers)
    # With -q nothing is said, and with -v the log says it all.
    says_little = logging.INFO < settings["level"] <= logging.CRITICAL
    shown = make_progress(len(headers), total) if says_little else Progress()
    try:
        sending = _send(settings, requestor, headers, outcome, shown)
        return requesting.run(sending, shows_names=bool(settings["verbose_pc"]))
    finally:
        if settings["rename"]:
            _rename(outcome.renames)


def _read(settings: Mapping[str, Any]) -> tuple[list[aiodicom.ObjectHeader], Outcome]:
    """Read the headers of all files, which decide on what is proposed."""
    pattern = settings["pattern"] or "*"
    paths = find_files(settings["dcmfile-in"], pattern=pattern, recurse=settings["recurse"])
    headers: list[aiodicom.ObjectHeader] = []
    unusable: list[StoreResult] = []
    for path in paths:
        try:
            headers.append(aiodicom.read_header(path, settings["form"]))
        except NotSent as error:
            unusable.append(StoreResult(path, error=error))
    repeat = settings["repeat"]
    outcome = Outcome(len(headers) * repeat + len(unusable))
    for result in unusable:
        outcome.add(result)
    return [header for header in headers for _ in range(repeat)], outcome


def _requestor(
    settings: Mapping[str, Any], headers: Sequence[aiodicom.ObjectHeader], profile: Profile | None
) -> aiodicom.Requestor:
    kinds = ((h.sop_class_uid, h.transfer_syntax_uid) for h in headers)
    contexts: Sequence[Context] | None
    if profile is not None:
        contexts = profile.contexts
    else:
        contexts = propose(
            kinds,
            settings["proposal"],
            required=settings["required"],
            combine=settings["combine"],
        )
    connection = requesting.connection_settings(settings)
    identity = requesting.identity_of(settings)
    try:
        return aiodicom.connect(
            **connection,
            contexts=contexts,
            **requesting.negotiation_items(profile),
            maximum_send_length=settings["maximum_send_length"],
            window=window_of(settings),
            user_identity=identity,
        )
    except ValueError as error:
        raise Failed(f"this cannot be proposed: {error}; propose less") from None


def window_of(settings: Mapping[str, Any]) -> int:
    """Return how many requests may be outstanding; one where it halts at a failure."""
    window = settings["window"]
    if window is None:
        return 1 if settings["halt"] else 8
    return int(window)


async def _send(
    settings: Mapping[str, Any],
    requestor: aiodicom.Requestor,
    headers: Sequence[aiodicom.ObjectHeader],
    outcome: Outcome,
    shown: Progress,
) -> int:
    what, code = "Association Request Failed", FAILED
    try:
        async with requestor:
            what, code = "Association Failed", ASSOCIATION_FAILED
            requesting.show_contexts(settings, requestor)
            with shown:
                results = requestor.send(
                    headers,
                    associations=settings["jobs"],
                    halt=settings["halt"],
                    alterations=_alterations(settings),
                    progress=shown.sent,
                )
                async with contextlib.aclosing(results):
                    async for result in results:
                        outcome.add(result)
                        shown.done()
            if settings["aborts"]:
                await requestor.abort()
    except AssociationRejected as error:
        outcome.failed(f"Association Rejected: {error}", FAILED)
    except AssociationClosed as error:
        outcome.failed(f"{what}: {error}", code)
    except DicomError as error:
        outcome.failed(str(error), FAILED)
    outcome.conclude()
    return outcome.exit_code


def _alterations(settings: Mapping[str, Any]) -> aiodicom.Alterations:
    replacements = None
    counts = [settings[name] for name in ("per_series", "per_study", "per_patient")]
    if settings["invents"] or any(counts):
        usual = (100, 50, 25)
        replacements = Inventor(*(a or b for a, b in zip(counts, usual, strict=True)))
    return aiodicom.Alterations(
        settings["compression_level"], settings["without_new_vrs"], replacements
    )


def _rename(outcomes: Mapping[str, bool]) -> None:
    for path, is_stored in outcomes.items():
        name = path + (".done" if is_stored else ".bad")
        try:
            if os.path.lexists(name):
                raise FileExistsError(errno.EEXIST, f"there is a {name}")
            os.rename(path, name)
        except OSError as error:
            reason = escape_path(error.strerror or "")
            logger.warning("cannot rename %s: %s", escape_path(path), reason)


def storescu(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    return main(COMMAND, _act, arguments)


if __name__ == "__main__":
    sys.exit(storescu())
