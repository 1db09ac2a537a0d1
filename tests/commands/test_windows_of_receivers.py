"""storescp and dcmrecv: the asynchronous operations window."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest

import aiodicom
from aiodicom import dcmrecv, echoscp, storescp
from aiodicom.cli.options import UsageError
from aiodicom.wire.items import AsynchronousOperationsWindow
from tests.commands.running import connected, files, running, settings_of
from tests.peer import association_request
from tests.scripted_acceptor import dataset_in, write_object

RECEIVERS = pytest.mark.parametrize("command", [storescp, dcmrecv])

PROFILE = ("-xf", "storescp.cfg", "Default")


@RECEIVERS
@pytest.mark.parametrize(
    ("options", "granted"),
    [((), 1), (("--window", "3"), 3), (("--window=0",), 8), ((*PROFILE, "--window", "3"), 3)],
)
async def test_a_window_is_granted_where_the_command_line_has_one(
    tmp_path: Path, command: ModuleType, options: tuple[str, ...], granted: int
) -> None:
    async with connected(command, "-od", str(tmp_path), *options) as peer:
        asked = AsynchronousOperationsWindow(8, 1)
        answer = await peer.associate(association_request(more=[asked]))
        item = answer.user_item(AsynchronousOperationsWindow)
        assert item == AsynchronousOperationsWindow(granted, 1)
        await peer.release()


@RECEIVERS
async def test_objects_of_a_window_are_stored_byte_for_byte(
    tmp_path: Path, command: ModuleType
) -> None:
    sent, folder = tmp_path / "sent", tmp_path / "received"
    sent.mkdir()
    folder.mkdir()
    paths = [write_object(sent, f"1.2.{n}", 10_000 * n) for n in range(30)]
    async with (
        running(command, "-od", str(folder), "--window", "4") as server,
        aiodicom.connect("127.0.0.1", server.port, window=8) as requestor,
    ):
        assert {result.status async for result in requestor.send(paths)} == {0}
        assert requestor.agreed.window == 4
    assert files(folder) == sorted(f"CT.{path.stem}" for path in paths)
    for path in paths:
        assert dataset_in(folder / f"CT.{path.stem}") == dataset_in(path)


@pytest.mark.parametrize("value", ["-1", "65536", "x"])
def test_a_window_that_is_none(value: str) -> None:
    with pytest.raises(UsageError, match="--window"):
        settings_of(storescp, f"--window={value}")


def test_echoscp_has_none() -> None:
    with pytest.raises(UsageError, match="--window"):
        settings_of(echoscp, "--window", "3")
