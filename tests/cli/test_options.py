"""The command line's rules: DCMTK's, and values joined with an equals sign."""

from __future__ import annotations

from pathlib import Path

import pytest

from aiodicom import dcmrecv, echoscp, storescp, storescu
from aiodicom.cli.options import (
    Command,
    Group,
    Option,
    UsageError,
    ae_title,
    count,
    excludes,
    expand,
    needs,
    port,
    seconds,
    size,
)

COMMAND = Command(
    "example",
    "shows options",
    {"port": port, "file": str},
    (
        Group(
            "first group",
            (
                Option(("-q", "--quiet"), "level", "say less", value=0),
                Option(("-v", "--verbose"), "level", "say more", value=2),
                Option(("-x=", "--prefer-uncompr"), "prefer", "prefer it", value="uncompressed"),
                Option(("+xa", "--accept-all"), "prefer", "accept all", value="all"),
            ),
        ),
        Group(
            "second group",
            (
                Option(("-n", "--name"), "name", "a name", "[n]ame"),
                Option(("-ta", "--timeout"), "timeout", "a time", "[s]econds", seconds),
            ),
        ),
    ),
    {"level": 1, "name": "default"},
)


def parse(line: str) -> dict[str, object]:
    return COMMAND.parse(line.split())


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("104 f", {"port": 104, "file": "f", "level": 1, "name": "default"}),
        ("104 -v f", {"level": 2}),
        ("-v 104 f", {"level": 2}),
        ("104 f -v -q", {"level": 0}),
        ("104 f -q -v", {"level": 2}),
        ("104 f --name joe", {"name": "joe"}),
        ("104 f --name=joe", {"name": "joe"}),
        ("104 f -n joe --name=ann", {"name": "ann"}),
        ("104 f --name=", {"name": ""}),
        ("104 f --name=a=b", {"name": "a=b"}),
        ("104 f -n -v", {"name": "-v", "level": 1}),
        ("104 f -n --name=x", {"name": "--name=x"}),
        ("104 f -x=", {"prefer": "uncompressed"}),
        ("104 f -x= +xa", {"prefer": "all"}),
        ("104 f --timeout=0", {"timeout": None}),
        ("104 f -ta 1.5", {"timeout": 1.5}),
        ("104 -", {"file": "-"}),
        ("104 -5", {"file": "-5"}),
        ("104 +3", {"file": "+3"}),
    ],
)
def test_command_line(line: str, expected: dict[str, object]) -> None:
    settings = parse(line)
    assert {name: settings[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("104 f --nam joe", "unknown option --nam"),
        ("104 f --verb", "unknown option --verb"),
        ("104 f -vq", "unknown option -vq"),
        ("104 f -V", "unknown option -V"),
        ("104 f +v", r"unknown option \+v"),
        ("104 f -n=joe", "unknown option -n=joe"),
        ("104 f --", "unknown option --"),
        ("104 f --unknown=1", "unknown option --unknown=1"),
        ("104 f --verbose=1", "option --verbose takes no value"),
        ("104 f -n", r"missing value for option -n: \[n\]ame"),
        ("104 f -ta soon", "option -ta: 'soon' is not a number of seconds"),
        ("104 f --timeout=-1", r"option --timeout: -1 is not 0 \(no limit\) or more seconds"),
        ("", "missing parameter port"),
        ("104", "missing parameter file"),
        ("104 f g", "too many parameters: g"),
        ("f 104", "parameter port: 'f' is not a number"),
    ],
)
def test_wrong_command_line_says_what_is_wrong(line: str, complaint: str) -> None:
    with pytest.raises(UsageError, match=f"^{complaint}$"):
        parse(line)


def test_defaults_are_not_changed_by_parsing() -> None:
    parse("104 f -v -n joe")
    settings = parse("104 f")
    assert (settings["level"], settings["name"]) == (1, "default")


@pytest.mark.parametrize("text", ["1", "104", "65535"])
def test_port(text: str) -> None:
    assert port(text) == int(text)


@pytest.mark.parametrize("text", ["0", "65536", "-1", "104x", "1.5", "", "0x10", "1_000"])
def test_what_is_no_port(text: str) -> None:
    with pytest.raises(ValueError, match="is not a"):
        port(text)


@pytest.mark.parametrize(("text", "value"), [("0", None), ("30", 30.0), ("0.25", 0.25)])
def test_seconds(text: str, value: float | None) -> None:
    assert seconds(text) == value


@pytest.mark.parametrize("text", ["-1", "nan", "inf", "1e99", "ten", "", "1_0"])
def test_what_is_no_number_of_seconds(text: str) -> None:
    with pytest.raises(ValueError, match="is not"):
        seconds(text)


@pytest.mark.parametrize("text", ["0", "4096", "16382", "131072", "4294967295"])
def test_size(text: str) -> None:
    assert size(text) == int(text)


@pytest.mark.parametrize("text", ["4095", "4294967296", "-1", "16k", "", "16_384"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(ValueError, match="is not"):
        size(text)


def test_ae_title_is_taken_without_its_padding() -> None:
    assert ae_title(" STORE 1 ") == "STORE 1"


@pytest.mark.parametrize("text", ["", "   ", "A" * 17, "A\\B", "A\nB", "Ä"])
def test_what_is_no_ae_title(text: str) -> None:
    with pytest.raises(ValueError, match="AE title"):
        ae_title(text)


def rows(command: Command) -> list[str]:
    """The lines of the usage that are options."""
    return [line for line in command.usage().splitlines() if line.startswith("  ")]


ALL = [COMMAND, storescp.COMMAND, dcmrecv.COMMAND, echoscp.COMMAND, storescu.COMMAND]


@pytest.mark.parametrize("command", ALL)
def test_usage_has_every_group_option_and_parameter(command: Command) -> None:
    usage = command.usage()
    assert f"[options] {command.synopsis}\n" in usage
    assert all(f"\n{group.title}:\n" in usage for group in command.groups)
    options = [option for group in command.groups for option in group.options]
    for row, option in zip(rows(command), options, strict=True):
        assert row.endswith(f"  {option.help}")
        assert all(name in row.split() for name in option.names)


@pytest.mark.parametrize("command", ALL)
def test_usage_is_a_table(command: Command) -> None:
    options = [option for group in command.groups for option in group.options]
    columns = {
        len(row) - len(option.help) for row, option in zip(rows(command), options, strict=True)
    }
    assert len(columns) == 1


MORE = Command(
    "more",
    "shows lists and rules",
    {"peer": str, "file...": str},
    (
        Group(
            "all",
            (
                Option(("-xf", "--config-file"), "profile", "two values", "[f]ile [p]rofile"),
                Option(("+cf", "--add"), "files", "adds", "[f]ile", repeats=True),
                Option(("-a", "--alone"), "way", "excludes", value="alone"),
                Option(("-t", "--together"), "way", "needs", value="together"),
                Option(("-n", "--number"), "number", "a number", "[n]umber", count(1, 9)),
                Option(("+rs", "--seed"), "seed", "nothing", "[f]ile", note="nobody wants it"),
            ),
        ),
    ),
    {"files": ()},
    (excludes("--alone", "--add"), needs("--together", "--add", "--config-file")),
)


def more(line: str) -> dict[str, object]:
    return MORE.parse(line.split())


def test_an_option_of_two_values_makes_a_pair() -> None:
    assert more("p f -xf cfg -v")["profile"] == ("cfg", "-v")


def test_an_option_that_repeats_makes_a_list() -> None:
    assert more("p f +cf a --add b --add=c")["files"] == ("a", "b", "c")
    assert more("p f")["files"] == ()


def test_the_last_parameter_may_be_several() -> None:
    assert more("p a -n 3 b c")["file"] == ("a", "b", "c")


def test_the_options_in_effect_are_known_by_their_long_names() -> None:
    assert more("p f -t +cf x -a -t")["given"] == {"--together", "--add"}


def test_what_has_no_effect_is_said() -> None:
    assert more("p f +rs x")["notes"] == ("--seed has no effect: nobody wants it",)
    assert more("p f")["notes"] == ()


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("p", "missing parameter file..."),
        ("p f -xf cfg", r"missing value for option -xf: \[p\]rofile"),
        ("p f --config-file=cfg", "option --config-file takes 2 values"),
        ("p f -a +cf x", "--alone not allowed with --add"),
        ("p f -t", "--together only allowed with --add or --config-file"),
        ("p f -n 0", "option -n: 0 is not 1 to 9"),
        ("p f -n 10", "option -n: 10 is not 1 to 9"),
        ("p f -n 1x", "option -n: '1x' is not a number"),
    ],
)
def test_rules(line: str, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        more(line)


def test_a_rule_speaks_of_what_is_in_effect() -> None:
    more("p f -a -t +cf x")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a b\tc\r\nd\n", ["a", "b", "c", "d"]),
        ('"a b" \'c "d\' e', ["a b", 'c "d', "e"]),
        ('"a b"c', ["a b", "c"]),
        ('x "" y', ["x", "", "y"]),
        ("\n", []),
        ('"open end', ["open end"]),
        ("@other", ["@other"]),
    ],
)
def test_a_command_file_stands_for_its_words(tmp_path: Path, text: str, words: list[str]) -> None:
    file = tmp_path / "words"
    file.write_bytes(text.encode())
    assert expand(["-v", f"@{file}", "@"]) == ["-v", *words, "@"]


def test_a_command_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot open command file"):
        expand([f"@{tmp_path}/none"])


@pytest.mark.parametrize(
    "option",
    "-q --quiet -v --verbose -d --debug --ignore -aet=A --aetitle=A --ae-title=A "
    "-ta=1 --acse-timeout=1 -td=1 --dimse-timeout=1 -tn=1 --network-timeout=1 "
    "-pdu=16384 --max-pdu=16384 -od=d --output-directory=d -ll=info --log-level=info".split(),
)
def test_storescp_takes_what_its_users_type(option: str) -> None:
    name, _, value = option.partition("=")
    settings = storescp.COMMAND.parse(["11112", name, *([value] if value else [])])
    assert settings != storescp.COMMAND.parse(["11112"]) or value == "16384"
