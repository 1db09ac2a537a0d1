"""What the commands share: exit codes, the log, limits."""

from __future__ import annotations

import errno
import logging
import resource
import socket
from collections.abc import Callable
from typing import Any

import pytest

from aiodicom.cli.common import DEFAULTS, GENERAL, Failed, main, reason
from aiodicom.cli.network import (
    PROFILE,
    REQUESTOR_DEFAULTS,
    host_of,
    network_options,
    not_with_profile,
    requestor_options,
    timeouts_of,
)
from aiodicom.cli.options import Command, Group, Option, UsageError
from aiodicom.cli.syntaxes import preference_options, proposal_options
from aiodicom.open_files import raise_open_files_limit
from aiodicom.wire.identity import __version__

COMMAND = Command("example", "shows what commands share", {}, (GENERAL,), DEFAULTS)

logger = logging.getLogger("aiodicom.example")

Capture = pytest.CaptureFixture[str]


def say_everything(settings: dict[str, object]) -> None:
    for level in ("debug", "info", "warning", "error", "critical"):
        getattr(logger, level)("a %s line", level)


def run(*arguments: str, act: Callable[[dict[str, Any]], int | None] = say_everything) -> int:
    return main(COMMAND, act, arguments)


@pytest.mark.parametrize("arguments", [(), ("-h",), ("--help",), ("-v", "-h"), ("--bad", "-h")])
def test_usage_goes_to_standard_output(capfd: Capture, arguments: tuple[str, ...]) -> None:
    assert run(*arguments) == 0
    out, err = capfd.readouterr()
    assert out.startswith(f"aiodicom example {__version__}: shows what commands share\n\nusage: ")
    assert err == ""


def test_version(capfd: Capture) -> None:
    assert run("--version") == 0
    assert capfd.readouterr() == (f"aiodicom example {__version__}\n", "")


def test_wrong_command_line_is_one_line_that_names_the_remedy(capfd: Capture) -> None:
    assert run("--loud") == 1
    assert capfd.readouterr() == (
        "",
        "error: unknown option --loud; see python -m aiodicom.example --help\n",
    )


def test_debug_begins_with_the_commands_name_and_version(capfd: Capture) -> None:
    run("-d", act=lambda settings: None)
    assert capfd.readouterr().err == f"D: example v{__version__}\n"


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (OSError(errno.EACCES, "cannot store in /x: Permission denied"),
         "F: cannot store in /x: Permission denied\n"),
        (FileNotFoundError(errno.ENOENT, "No such file or directory", "/x/y"),
         "F: /x/y: No such file or directory\n"),
        (OSError("what no number was given for"), "F: what no number was given for\n"),
    ],
)  # fmt: skip
def test_command_that_cannot_start_says_why(capfd: Capture, error: OSError, line: str) -> None:
    def fail(settings: dict[str, object]) -> None:
        raise error

    assert run("-v", act=fail) == 1
    assert capfd.readouterr() == ("", line)


def test_open_files_limit_is_raised_to_the_hard_one() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 512), hard))
    try:
        raise_open_files_limit()
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize(("returned", "code"), [(None, 0), (0, 0), (167, 167)])
def test_exit_code_is_what_the_command_says(returned: int | None, code: int) -> None:
    assert run("-v", act=lambda settings: returned) == code


def test_failure_with_an_exit_code_of_its_own(capfd: Capture) -> None:
    def act(settings: dict[str, object]) -> None:
        try:
            raise PermissionError(errno.EACCES, "Permission denied", "/x")
        except OSError as error:
            raise Failed(reason(error), 45) from error

    assert run("-v", act=act) == 45
    assert capfd.readouterr() == ("", "F: /x: Permission denied\n")


def test_options_without_effect_are_said_to_be(capfd: Capture) -> None:
    idle = Group("idle", (Option(("--seed",), "seed", "nothing", note="Python seeds itself"),))
    command = Command("example", "", {}, (GENERAL, idle), DEFAULTS)
    assert main(command, lambda settings: None, ["--seed"]) == 0
    assert capfd.readouterr().err == "W: --seed has no effect: Python seeds itself\n"


def test_dictionary_that_cannot_be_read_is_a_warning(
    capfd: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DCMDICTPATH", "/nonexistent.dic")
    assert run("-v", act=lambda settings: None) == 0
    assert capfd.readouterr().err == (
        "W: data dictionary /nonexistent.dic: No such file or directory\n"
        "W: no data dictionary loaded: correct the environment variable DCMDICTPATH\n"
    )


# The network's options ----------------------------------------------------------------------------

RECEIVER = Command(
    "receiver", "", {}, (network_options("MY_SCP", "7", "8", 9999, stores=True),), DEFAULTS
)
REQUESTOR = Command(
    "requestor",
    "",
    {},
    (requestor_options("MY_SCU", max_send_pdu=True),),
    {**DEFAULTS, **REQUESTOR_DEFAULTS, "maximum_send_length": 0},
)


def setting(command: Command, line: str, name: str) -> object:
    return command.parse(line.split())[name]


def test_network_options_tell_a_commands_own_defaults() -> None:
    usage = RECEIVER.usage()
    for text in ("default: MY_SCP", "default: 7", "default: 8", "default: 9999"):
        assert text in usage
    assert "default: MY_SCU" in REQUESTOR.usage()


@pytest.mark.parametrize(
    "line",
    ["-to 9", "--timeout 9", "-ts 9", "--socket-timeout=9", "-tn 9", "--network-timeout=9",
     "-tn 3 -to 9", "-to 3 -ts 9", "-ts 3 -tn 9"],
)  # fmt: skip
def test_receivers_network_timeout_has_three_names_and_the_rightmost_counts(line: str) -> None:
    assert setting(RECEIVER, line, "network") == 9


@pytest.mark.parametrize("line", ["-ts 9", "-tn 9", "-ts 3 -tn 9", "-tn 3 --socket-timeout 9"])
def test_requestors_network_timeout_has_two_names(line: str) -> None:
    assert setting(REQUESTOR, line, "network") == 9
    assert setting(REQUESTOR, line, "connection") is None


@pytest.mark.parametrize("name", ["-to", "--timeout"])
def test_requestors_timeout_is_for_the_connection(name: str) -> None:
    assert setting(REQUESTOR, f"{name} 9", "connection") == 9
    assert setting(REQUESTOR, f"{name} 9", "network") == 60
    assert setting(REQUESTOR, f"{name} 0", "connection") is None


@pytest.mark.parametrize("name", ["-aet", "--aetitle", "--ae-title", "--calling-aet"])
def test_requestors_own_ae_title(name: str) -> None:
    assert setting(REQUESTOR, f"{name} ME", "ae_title") == "ME"


@pytest.mark.parametrize("name", ["-aec", "--call", "--called-aet"])
def test_called_ae_title(name: str) -> None:
    assert setting(REQUESTOR, f"{name} YOU", "called_ae_title") == "YOU"
    assert setting(REQUESTOR, "", "called_ae_title") == "ANY-SCP"


@pytest.mark.parametrize(
    ("line", "family"),
    [("", socket.AF_UNSPEC), ("-i4", socket.AF_INET), ("--ipv6", socket.AF_INET6),
     ("-i4 -i0", socket.AF_UNSPEC), ("-i6 --ipv4", socket.AF_INET)],
)  # fmt: skip
@pytest.mark.parametrize("command", [RECEIVER, REQUESTOR], ids=["receiver", "requestor"])
def test_version_of_ip(command: Command, line: str, family: int) -> None:
    assert setting(command, line, "family") == family


@pytest.mark.parametrize(
    ("host", "family", "expected"),
    [
        (None, socket.AF_UNSPEC, None),
        (None, socket.AF_INET, "0.0.0.0"),
        (None, socket.AF_INET6, "::"),
        ("localhost", socket.AF_INET6, "localhost"),
    ],
)
def test_host_that_a_receiver_listens_on(
    host: str | None, family: int, expected: str | None
) -> None:
    assert host_of({"host": host, "family": family}) == expected


def test_longest_pdus() -> None:
    assert setting(REQUESTOR, "-pdu 0", "maximum_length") == 0
    assert setting(REQUESTOR, "--max-send-pdu=8192", "maximum_send_length") == 8192
    assert setting(RECEIVER, "--max-pdu 131072", "maximum_length") == 131072


def test_options_that_not_every_command_has() -> None:
    assert setting(RECEIVER, "-dhl", "no_lookup") is True
    for group, name in (
        (network_options("A", "1", "1", 0), "-dhl"),
        (requestor_options("A"), "--max-send-pdu"),
    ):
        assert name not in [name for option in group.options for name in option.names]


def test_timeouts_of_a_command_line() -> None:
    timeouts = timeouts_of({"association": 30.0, "dimse": None, "network": 0.5})
    assert (timeouts.association, timeouts.dimse, timeouts.network) == (30.0, None, 0.5)
    assert timeouts.connection is None
    assert timeouts_of(setting_all(REQUESTOR, "-to 4 -ta 5 -td 6 -tn 7")).connection == 4


def setting_all(command: Command, line: str) -> dict[str, object]:
    return command.parse(line.split())


WITH_PROFILE = Command(
    "example",
    "",
    {},
    (PROFILE, preference_options(plus_prefix=True), proposal_options(),
     Group("", (Option(("-pm", "--promiscuous"), "promiscuous", ""),))),
    rules=(not_with_profile(preference_options(plus_prefix=True), proposal_options(),
                            names=("--promiscuous",)),),
)  # fmt: skip


@pytest.mark.parametrize("name", ["-xe", "-xs", "+xa", "+xr", "-xi", "-pm"])
def test_profile_does_not_go_with_what_it_replaces(name: str) -> None:
    with pytest.raises(UsageError, match=r"^--config-file not allowed with --"):
        setting(WITH_PROFILE, f"{name} -xf a.cfg Default", "profile")


@pytest.mark.parametrize("name", ["", "-x=", "+x="])
def test_profile_goes_with_what_is_the_default(name: str) -> None:
    assert setting(WITH_PROFILE, f"{name} -xf a.cfg Default", "profile") == ("a.cfg", "Default")


def test_ctrl_c_at_any_time_is_130(capfd: Capture) -> None:
    def act(settings: dict[str, Any]) -> None:
        raise KeyboardInterrupt

    assert run("-v", act=act) == 130
    assert capfd.readouterr() == ("", "E: Interrupted\n")
