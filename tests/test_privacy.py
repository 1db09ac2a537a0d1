"""What is logged above level DEBUG tells nothing of patients, and of nobody's bytes as they are."""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

import aiodicom
from aiodicom import FileStorage, Status, StoreRequest, storescp
from aiodicom.cli.logs import log_to_stderr
from aiodicom.storage.schemes import Layout
from aiodicom.storage.sorting import by_patient_name, by_series_date
from aiodicom.storage.stored import StoredObject
from aiodicom.storage.studies import Studies
from tests.commands.running import running
from tests.peer import Peer
from tests.serving import serving
from tests.storage.faults import fail_writers
from tests.storage.objects import sorted_dataset, tree

SECRETS = ("CANARY", "19010203", "1901")
UID = "1.2.3"
DATA = sorted_dataset(UID, name=b"CANARY^JOHN", date=b"19010203")

SORTINGS = {"date": by_series_date(), "name": by_patient_name()}

Store = Callable[[StoreRequest], Awaitable[int]]


@pytest.fixture
def everything(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.DEBUG, "aiodicom")
    return caplog


def told(caplog: pytest.LogCaptureFixture) -> str:
    """What is logged above level DEBUG, as a handler would write it."""
    records = [record for record in caplog.records if record.levelno > logging.DEBUG]
    assert records
    return "\n".join(logging.Formatter().format(record) for record in records)


def assert_private(caplog: pytest.LogCaptureFixture) -> None:
    text = told(caplog)
    assert not [secret for secret in SECRETS if secret in text], text


async def store(store: Store, *uids: str) -> list[int]:
    async with serving(store=store) as server, Peer(server.port) as peer:
        await peer.associate()
        return [await peer.store(uid, DATA.replace(UID.encode(), uid.encode())) for uid in uids]


def storage(folder: Path, by: str, **settings: object) -> FileStorage:
    layout = Layout(sorting=SORTINGS[by])
    return FileStorage(folder, layout=layout, studies=Studies(), **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("duplicates", ["replace", "keep", "both", "refuse"])
@pytest.mark.parametrize("by", SORTINGS)
async def test_a_stored_object_and_its_duplicate(
    tmp_path: Path, by: str, duplicates: str, everything: pytest.LogCaptureFixture
) -> None:
    await store(storage(tmp_path, by, duplicates=duplicates), UID, UID)
    assert any(secret in path for secret in SECRETS for path in tree(tmp_path))
    assert any(UID in text for text in everything.messages)
    assert_private(everything)


@pytest.mark.parametrize("call", ["open", "writev", "fdatasync", "rename", "fsync"])
@pytest.mark.parametrize("by", SORTINGS)
async def test_a_disk_that_fails(
    tmp_path: Path,
    by: str,
    call: str,
    monkeypatch: pytest.MonkeyPatch,
    everything: pytest.LogCaptureFixture,
) -> None:
    fail_writers(monkeypatch, call, errno.ENOSPC, path=f"{tmp_path}/CANARY_JOHN_19010203/CT.1")
    assert await store(storage(tmp_path, by), UID) == [Status.OUT_OF_RESOURCES]
    assert os.strerror(errno.ENOSPC) in told(everything)
    assert_private(everything)


@pytest.mark.parametrize("error", [ValueError, KeyError, OSError, ExceptionGroup])
async def test_a_handler_that_raises_what_it_has_read(
    error: Callable[..., Exception], everything: pytest.LogCaptureFixture
) -> None:
    async def fails(request: StoreRequest) -> int:
        text = (await request.dataset.read()).decode("latin-1")
        parts = [ValueError(text)]
        raise error(text, parts) if error is ExceptionGroup else error(text) from parts[0]

    await store(fails, UID)
    assert "test_privacy.py" in told(everything)
    assert_private(everything)


async def test_a_handler_that_returns_what_it_has_read(
    everything: pytest.LogCaptureFixture,
) -> None:
    async def returns(request: StoreRequest) -> int:
        return await request.dataset.read()  # type: ignore[return-value]

    await store(returns, UID)
    assert "The handler returned bytes, which is no status" in told(everything)
    assert_private(everything)


async def test_what_follows_an_object_fails(
    tmp_path: Path, everything: pytest.LogCaptureFixture
) -> None:
    def fails(stored: StoredObject) -> None:
        raise RuntimeError(stored.path)

    await store(storage(tmp_path, "name", on_stored=fails), UID)
    assert "What follows a stored object failed: RuntimeError" in told(everything)
    assert_private(everything)


@pytest.mark.parametrize("command", ["false #p", "/nowhere/x #p/#f"])
async def test_a_command_that_fails(
    tmp_path: Path, command: str, everything: pytest.LogCaptureFixture
) -> None:
    options = ("-v", "-sp", "-od", str(tmp_path), "-xcr", command, "-xs")
    async with running(storescp, *options) as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.store(UID, DATA)
    assert_private(everything)


async def test_an_authorize_hook_that_fails_says_nothing_of_the_peer(
    everything: pytest.LogCaptureFixture,
) -> None:
    async def fails(info: aiodicom.AssociationInfo) -> None:
        raise LookupError("CANARY")

    async with serving(authorize=fails) as server, Peer(server.port) as peer:
        await peer.rejected()
    assert "The authorize hook failed: LookupError" in told(everything)
    assert_private(everything)


def test_what_an_exception_says_cannot_steer_a_terminal(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with log_to_stderr(logging.DEBUG, {}):
        try:
            raise ValueError("\x1b[2J\r\x9b\x07\0gone")
        except ValueError as error:
            logging.getLogger("aiodicom.test").debug("it failed", exc_info=error)
    said = capfd.readouterr().err
    assert r"\x1b[2J\x0d\x9b\x07\x00gone" in said
    assert all(character.isprintable() or character == "\n" for character in said)
