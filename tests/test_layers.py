"""The house: imports go down only (docs/architecture.md)."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import aiodicom

PACKAGE = Path(aiodicom.__file__).parent

FLOORS = (
    ("errors", "open_files", "first_use"),
    ("wire", "handshakes"),
    ("dataset", "describe", "ae_titles", "certificate", "seldom", "limits", "tls"),
    ("reading", "listening"),
    ("failures", "requests", "objects", "systemd"),
    ("events", "reloading"),
    ("access", "workers"),
    ("acceptor",),
    ("handling", "storage", "client"),
    ("monitor", "announcing"),
    ("http",),
    ("server",),
    ("testing",),
    ("__init__",),
    ("cli",),
    ("storescp", "echoscp", "dcmrecv", "storescu", "echoscu"),
    ("conformance",),
    ("__main__",),
)
"""Each floor knows the ones before it, and its own rooms know nothing of each other."""

FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}

STORAGE_KNOWS = {
    "failures",
    "requests",
    "dataset",
    "wire",
    "errors",
    "describe",
    "storage",
    "first_use",
}

NO_IO = {"asyncio", "socket", "ssl", "selectors", "threading", "concurrent", "time", "logging"}
NO_TRANSPORTS = {"socket", "ssl", "selectors", "threading", "pathlib"}


def files(folder: str = "") -> list[Path]:
    return sorted((PACKAGE / folder).rglob("*.py"))


def name_of(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


def room_of(path: Path) -> str:
    """The part of the package that a file is in: a folder, or the file itself."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> Iterator[str]:
    """The full name of every module that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name_of(path)}: imports are absolute here"
            assert node.module is not None
            yield node.module


def rooms(path: Path) -> set[str]:
    """The rooms of the package that a file imports."""
    inside = [name.split(".") for name in imports(path) if name.split(".")[0] == "aiodicom"]
    return {names[1] if len(names) > 1 else "__init__" for names in inside}


def outside(path: Path) -> set[str]:
    """The top level modules of others that a file imports."""
    return {name.split(".")[0] for name in imports(path)} - {"aiodicom"}


def test_every_file_has_its_place() -> None:
    assert {room_of(path) for path in files()} <= set(FLOOR)


@pytest.mark.parametrize("path", files(), ids=name_of)
def test_imports_go_down_only(path: Path) -> None:
    here = room_of(path)
    for room in rooms(path) - {here}:
        assert FLOOR[room] < FLOOR[here], f"{here} may not know {room}"


@pytest.mark.parametrize("path", files("wire"), ids=name_of)
def test_the_wire_is_bytes_and_values(path: Path) -> None:
    assert rooms(path) <= {"wire", "errors"}
    assert not outside(path) & NO_IO


@pytest.mark.parametrize("path", files("storage"), ids=name_of)
def test_storage_knows_requests_and_nothing_of_servers(path: Path) -> None:
    assert rooms(path) <= STORAGE_KNOWS


def test_the_conversation_knows_neither_sockets_nor_files() -> None:
    path = PACKAGE / "acceptor" / "association.py"
    assert not outside(path) & NO_TRANSPORTS
    assert "storage" not in rooms(path)
    tree = ast.parse(path.read_text(encoding="utf-8"))
    named = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert not named & {"Transport", "BufferedProtocol", "open_connection", "start_server"}


def test_errors_import_nothing() -> None:
    assert set(imports(PACKAGE / "errors.py")) <= {"__future__", "enum"}


def test_the_library_installs_no_signal_handlers_and_sets_up_no_logging() -> None:
    """But for run() and the commands, which are programs."""
    for path in files():
        if room_of(path) not in ("workers", "cli", "storescp", "echoscp", "__main__"):
            assert "signal" not in outside(path), name_of(path)
        if room_of(path) not in ("cli", "__main__"):
            text = path.read_text(encoding="utf-8")
            assert "basicConfig" not in text, name_of(path)
            assert "addHandler" not in text, name_of(path)


@pytest.mark.parametrize("name", aiodicom.__all__)
def test_what_is_public_is_there_and_documented(name: str) -> None:
    public = getattr(aiodicom, name)
    assert isinstance(public, str) or public.__doc__
