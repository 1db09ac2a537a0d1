"""Options for what peers may cost."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import ModuleType

import pytest

from aiodicom import Limits, dcmrecv, echoscp, storescp
from aiodicom.cli.limits import LIMITS, ROOM, amount, limits_of
from aiodicom.cli.network import timeouts_of
from aiodicom.cli.options import UsageError

COMMANDS = [storescp, dcmrecv, echoscp]


PAGE = Path(__file__).parents[2] / "docs" / "limits.md"


def limits(command: ModuleType, *words: str) -> Limits:
    return limits_of(command.COMMAND.parse([*words, "11112"]))


@pytest.mark.parametrize(
    ("text", "number"),
    [("0", 0), ("1000", 1000), ("64k", 65536), ("256M", 256 << 20), ("10GiB", 10 << 30),
     ("2 mb", 2 << 20), ("1T", 1 << 40)],
)  # fmt: skip
def test_amounts(text: str, number: int) -> None:
    assert amount(text) == number


@pytest.mark.parametrize("text", ["", "k", "-1", "1.5M", "10x", "1_000", "1 k k"])
def test_what_is_no_amount(text: str) -> None:
    with pytest.raises(ValueError, match="256M"):
        amount(text)


@pytest.mark.parametrize("command", COMMANDS)
def test_what_is_not_said_is_as_usual(command: ModuleType) -> None:
    assert limits(command) == Limits()
    assert timeouts_of(command.COMMAND.parse(["11112"])).rate == 60


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("option", "text", "name", "value"),
    [
        ("--max-associations", "7", "associations", 7),
        ("--max-associations-per-address", "7", "associations_per_address", 7),
        ("--max-associations-per-address", "0", "associations_per_address", None),
        ("--max-associations-per-title", "7", "associations_per_title", 7),
        ("--max-connections", "7", "connections", 7),
        ("--max-connections-per-address", "7", "connections_per_address", 7),
        ("--max-memory", "64M", "buffered_bytes", 64 << 20),
        ("--max-request", "64k", "request_bytes", 65536),
        ("--max-command", "1k", "command_bytes", 1024),
        ("--max-object", "2G", "object_bytes", 2 << 30),
        ("--max-object", "0", "object_bytes", None),
        ("--min-rate", "1k", "least_rate", 1024),
        ("--min-rate", "0", "least_rate", None),
        ("--min-rate-time", "0", "least_rate", None),
    ],
)
def test_each_option_makes_its_limit(
    command: ModuleType, option: str, text: str, name: str, value: object
) -> None:
    assert getattr(limits(command, option, text), name) == value


def test_over_how_long_a_rate_is_measured() -> None:
    assert timeouts_of(storescp.COMMAND.parse(["--min-rate-time", "9", "11112"])).rate == 9


def test_who_admits_more_associations_admits_their_connections() -> None:
    assert limits(storescp, "--max-associations", "60000").connections == 70000


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ("--max-memory 1M", "--max-memory is 1048576: it must be 2097152 or more"),
        ("--max-memory 5M --workers 4", "--max-memory is 5242880: 4 workers need 8388608"),
        ("--max-request 10", "--max-request is 10: it must be 512 or more"),
        ("--max-command 10", "--max-command is 10: it must be 512 or more"),
    ],
)
@pytest.mark.parametrize("command", COMMANDS)
def test_limits_that_let_nobody_in(command: ModuleType, words: str, error: str) -> None:
    with pytest.raises(UsageError, match=error):
        limits(command, *words.split())


def test_the_page_has_every_limit_and_option() -> None:
    table = [line for line in PAGE.read_text().splitlines() if line.startswith("|")]
    cells = {cell.strip().strip("`") for line in table for cell in line.split("|")}
    assert {option.name for group in (LIMITS, ROOM) for option in group.options} <= cells
    assert {f"Limits.{field.name}" for field in dataclasses.fields(Limits)} <= cells


def test_the_help_says_what_is_usual() -> None:
    helps = {option.dest: option.help for option in LIMITS.options}
    for name, value in dataclasses.asdict(Limits()).items():
        if name.startswith(("associations", "connections")):
            usual = "unlimited" if value is None else str(value)
            assert f"(default: {usual})" in helps[name]
