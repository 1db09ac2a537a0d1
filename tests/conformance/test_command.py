"""``python -m aiodicom.conformance``."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import pytest

from aiodicom import __version__
from aiodicom.conformance.configurations import Keeping
from aiodicom.conformance.statement import statement
from tests.conformance.asking import acceptor, section, written
from tests.processes import run, run_module

_WATCHED = """
import sys
seen = []
def watch(event, arguments):
    if event in ("socket.bind", "socket.connect", "os.mkdir", "os.listdir", "os.scandir"):
        seen.append(event)
    if event == "open" and isinstance(arguments[0], str) and arguments[1] not in (None, "r", "rb"):
        seen.append(arguments[:2])
from aiodicom.conformance import conformance
from aiodicom.conformance.configurations import read
import pydicom.uid, aiodicom.tls
sys.addaudithook(watch)
code = conformance(sys.argv[1:])
sys.exit(f"touched {seen}" if seen else code)
"""


def test_without_a_command_it_is_storescp_s() -> None:
    done = run_module("aiodicom.conformance")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == written("storescp", "11112")


def test_as_one_of_the_package_s_commands() -> None:
    done = run_module("aiodicom", "conformance", "echoscp", "104", "-aet", "X")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == written("echoscp", "104", "-aet", "X")


def test_no_port_is_opened_and_no_folder_touched(tmp_path: Path) -> None:
    words = ("storescp", "104", "-od", str(tmp_path / "none"), "+tls", "no.key", "no.pem")
    done = run((sys.executable, "-c", _WATCHED, *words), cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (("findscp",), "no command findscp; one of storescp, "),
        (("storescp", "--max-pdu", "1"), "option --max-pdu: 1 is not"),
        (("storescp", "104", "--access-file", "none"), "access file none: "),
        (("storescp", "104", "-xf", "none", "Default"), "none"),
        (("storescu", "-xf", "none", "Default"), "none"),
    ],
)
def test_what_cannot_be_stated(words: tuple[str, ...], what: str, tmp_path: Path) -> None:
    done = run_module("aiodicom.conformance", *words, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: ")
    assert what in done.stderr
    assert done.stderr.count("\n") == 1


def test_help_and_version() -> None:
    done = run_module("aiodicom.conformance", "--help")
    assert "usage: python -m aiodicom.conformance " in done.stdout
    done = run_module("aiodicom.conformance", "--version")
    assert done.stdout == f"aiodicom conformance {__version__}\n"


def test_a_second_port_with_tls() -> None:
    of = dataclasses.replace(acceptor("storescp", "104", "+tls", "k", "c"), tls_port=2762)
    text = statement(of)
    assert "104 without TLS, 2762 with TLS" in section(text, "8.3")
    assert "without it on the other" in section(text, "8.1")


def test_a_program_s_own_handler_states_for_itself() -> None:
    of = dataclasses.replace(acceptor("storescp", "104"), keeping=Keeping("handler"))
    text = statement(of)
    assert "that program's to state" in section(text, "5.2.2.2")
    assert "what the program's own handler answers" in section(text, "7.3.2.2")
    assert "| C000 | the request has no dataset |" in section(text, "7.3.2.2")
    assert "the program's own handler wants it" in section(text, "7.3.1")
    assert "| A900 |" not in text
