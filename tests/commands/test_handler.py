"""storescp --handler: a handler of somebody else's in the daemon."""

from __future__ import annotations

import contextlib
import socket
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from aiodicom import storescp
from aiodicom.cli.common import Failed
from aiodicom.cli.handler import load_handler, reference
from aiodicom.cli.options import UsageError
from aiodicom.wire.dimse import Status
from aiodicom.wire.pdu import AssociateReject
from tests.commands.running import connected, settings_of
from tests.commands.test_reloading_of_receivers import hang_up
from tests.peer import association_request
from tests.processes import Receiver, Sender, receiving, run_command
from tests.workers.test_workers import kill

Write = Callable[[str], None]

REFUSES = """
    import aiodicom

    async def store(request):
        raise aiodicom.Refused(0xA701, "not today")
    """


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """Writes the module ``mine`` into the current directory, which is not looked in yet."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])
    modules = set(sys.modules)
    yield lambda text: writes(tmp_path, text)
    for name in set(sys.modules) - modules:
        del sys.modules[name]


def writes(folder: Path, text: str) -> None:
    (folder / "mine.py").write_text(textwrap.dedent(text))


def load(name: str) -> object:
    return load_handler(reference(name))


async def test_objects_are_handed_to_it(mine: Write) -> None:
    mine(REFUSES)
    async with connected(storescp, "--handler", "mine:store") as peer:
        await peer.associate()
        assert await peer.store("1.2.3") == 0xA701


HANDLERS = """
    import functools

    async def store(request):
        return 0

    async def two(configuration, request):
        return 0

    class Store:
        async def __call__(self, request):
            return 0

        async def store(self, request):
            return 0

        def plain(self, request):
            return 0

        @classmethod
        def make(cls):
            return cls()

    async def later():
        return store

    def broken():
        raise LookupError("no\\n configuration")

    def plain(request):
        return 0

    def make():
        return store

    number = 7
    partial = functools.partial(two, number)
    one = Store()

    class Two:
        async def __call__(self, configuration, request):
            return 0

    bound = functools.partial(Two(), number)
    """


@pytest.mark.parametrize(
    "name", ["store", "one", "one.store", "partial", "bound", "make()", "Store()", "Store.make()"]
)
def test_what_is_a_handler(name: str, mine: Write) -> None:
    mine(HANDLERS)
    assert callable(load(f"mine:{name}"))


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("other:store", "there is no module other, neither in this directory nor installed: start"),
        ("mine.more:store", "there is no module mine.more, neither"),
        ("mine:stor", "mine has no attribute stor: did you mean store?"),
        ("mine:one.qqq", "mine:one has no attribute qqq: name what is defined there"),
        ("mine:Store", "is a class, not a handler: mine:Store() has one made"),
        (
            "mine:number",
            "is an object of type int and cannot be called: name an async function",
        ),
        ("mine:plain", "is not async: write `async def`; mine:plain() where it makes the handler"),
        ("mine:one.plain", "is not async: write `async def`"),
        ("mine:Store.store", "takes other arguments than a handler, which is given one"),
        ("mine:two", "takes other arguments than a handler"),
        ("mine:number()", "is an object of type int and makes nothing: leave out the ()"),
        ("mine:later()", "is async, as handlers are: leave out the (), or"),
        ("mine:broken()", "made no handler: LookupError: no configuration (mine.py:28); -d shows"),
    ],
)
def test_what_is_none_is_said_in_a_line(name: str, complaint: str, mine: Write) -> None:
    mine(HANDLERS)
    with pytest.raises(Failed) as raised:
        load(name)
    assert str(raised.value).startswith(f"--handler {name}: {complaint}")
    assert "\n" not in str(raised.value)
    assert raised.value.code == 1


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (
            "import no_such_thing",
            "ModuleNotFoundError: No module named 'no_such_thing' (mine.py:1)",
        ),
        ("from os import nothing", "ImportError: cannot import name 'nothing' from 'os'"),
        ("def (", "SyntaxError: invalid syntax (mine.py, line 1)"),
        ("raise SystemExit(3)", "SystemExit: 3 (mine.py:1)"),
        ("open('missing')", "FileNotFoundError: [Errno 2] No such file"),
        (
            "def __getattr__(name):\n    import no_such_thing",
            "ModuleNotFoundError: No module named 'no_such_thing' (mine.py:2)",
        ),
    ],
)
def test_what_a_module_raises_is_shown_as_it_is(text: str, complaint: str, mine: Write) -> None:
    mine(text)
    with pytest.raises(Failed) as raised:
        load("mine:store")
    assert str(raised.value).startswith(f"--handler mine:store: cannot be imported: {complaint}")


@pytest.mark.parametrize(
    "text", ["mine", "mine:", ":store", "a/mine:store", "mine:make(1)", "-x:y"]
)
def test_what_is_no_name_of_one(text: str) -> None:
    with pytest.raises(UsageError, match="is not module:function, nor module:make"):
        settings_of(storescp, "--handler", text)


def test_a_file_is_no_module() -> None:
    with pytest.raises(UsageError, match=r"names a file: mine:store$"):
        settings_of(storescp, "--handler", "mine.py:store")


@pytest.mark.parametrize(
    "option",
    ["-od=x", "--output-directory=x", "-F", "+uf", "-su=x", "-fe=x", "-xcr=x", "--durability=none",
     "--min-free=1", "--ignore", "--abort-after", "--abort-during", "-S=1", "+te"],
)  # fmt: skip
def test_what_is_about_files_does_not_go_with_it(option: str) -> None:
    name, _, value = option.partition("=")
    words = (name, value) if value else (name,)
    with pytest.raises(UsageError, match=r"^--handler not allowed with --"):
        settings_of(storescp, "--handler", "mine:store", *words)


def test_it_fails_before_the_port_is_opened(tmp_path: Path) -> None:
    """Which would fail as well."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for workers in ("1", "2"):
            words = (port, "-ba", "127.0.0.1", "--workers", workers, "--handler", "mine:store")
            done = run_command("storescp", *words, cwd=tmp_path)
            assert (done.returncode, done.stdout) == (1, "")
            assert done.stderr.startswith("F: --handler mine:store: there is no module mine")
            assert done.stderr.count("\n") == 1


LIVES = """
    import os
    from aiodicom import AssociationRejected

    def say(*words):
        with open("said", "a") as file:
            print(*words, file=file)

    say("imported in", os.getpid())

    class Handler:
        async def __aenter__(self):
            say("entered in", os.getpid())
            return self

        async def __aexit__(self, *exc_info):
            say("left in", os.getpid())

        def admit(self, association):
            if association.calling_ae_title == "NOBODY":
                raise AssociationRejected("not you", 1, 1, 3)

        async def reload(self):
            return "what is mine"

        async def __call__(self, request):
            say("stored", request.sop_instance_uid)
            request.dataset.discard()
            return 0
    """


@contextlib.contextmanager
def handing(folder: Path, *options: str) -> Iterator[Receiver]:
    """Run storescp with the module's handler."""
    writes(folder, LIVES)
    words = ("-v", "--handler", "mine:Handler()", *options)
    with receiving("storescp", *words, folder=folder) as receiver:
        try:
            receiver.wait_for_line("I: Listening on port")
            yield receiver
        finally:
            kill(receiver)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_it_is_imported_once_and_lives_in_every_worker(workers: str, tmp_path: Path) -> None:
    with handing(tmp_path, "--workers", workers) as receiver:
        with Sender(receiver.port) as sender, Sender(receiver.port) as nobody:
            sender.associate()
            assert sender.store("1.2.3") == Status.SUCCESS
            nobody.send(association_request(calling="NOBODY"))
            assert nobody.receive() == AssociateReject(1, 1, 3)
            sender.release()
        hang_up(receiver, workers, "Reloaded: what is mine")
        assert receiver.stop() == 0
    lines = (tmp_path / "said").read_text().splitlines()
    assert lines[0] == f"imported in {receiver.process.pid}"
    assert lines.count("stored 1.2.3") == 1
    entered = {line.split()[-1] for line in lines if line.startswith("entered in ")}
    left = {line.split()[-1] for line in lines if line.startswith("left in ")}
    assert len(lines) == 2 + 2 * int(workers)
    assert entered == left
    assert len(entered) == int(workers)
    assert (str(receiver.process.pid) in entered) == (workers == "1")
