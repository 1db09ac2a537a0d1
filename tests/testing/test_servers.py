"""Servers for tests: in the loop, in a thread, as a fixture."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading

import pytest

from aiodicom import AssociationRejected, Listener, Status, StoreRequest, connect
from aiodicom.testing import (
    ScriptedPeer,
    ServerThread,
    accepting,
    dicom_server,
    in_thread,
    objects,
    scripts,
    server,
)

__all__ = ["dicom_server"]


async def echo(port: int, called: str = "ANY-SCP") -> int:
    async with connect("127.0.0.1", port, called_ae_title=called) as requestor:
        return await requestor.c_echo()


@pytest.mark.anyio
async def test_a_server_has_a_free_port_of_the_loopback_and_takes_what_serve_takes() -> None:
    async with server(ae_title="HERE") as one, server() as another:
        assert {address for address, _ in one.addresses} == {"127.0.0.1"}
        assert one.port != another.port
        assert one.ae_title == "HERE"
        assert await echo(another.port) == Status.SUCCESS


@pytest.mark.anyio
async def test_a_server_may_listen_on_several_ports() -> None:
    async with server(listeners=[Listener(0, "127.0.0.1")] * 2) as running:
        assert len(running.ports) == 2
        for port in running.ports:
            assert await echo(port) == Status.SUCCESS


@pytest.mark.anyio
async def test_a_server_waits_for_nobody_when_it_stops() -> None:
    entered = asyncio.Event()

    async def stuck(request: StoreRequest) -> int:
        entered.set()
        await asyncio.Event().wait()
        return Status.SUCCESS

    async with asyncio.timeout(3), server(stuck) as running, ScriptedPeer(running.port) as peer:
        await peer.associate()
        await peer.begin_store("1.2.3")
        await entered.wait()


def test_a_synchronous_test_has_a_server_in_a_thread(dicom_server: ServerThread) -> None:
    assert asyncio.run(echo(dicom_server.port)) == Status.SUCCESS
    assert dicom_server.host == "127.0.0.1"


@pytest.mark.anyio
async def test_an_asynchronous_test_has_it_as_well(dicom_server: ServerThread) -> None:
    async with connect(dicom_server.host, dicom_server.port) as requestor:
        assert (await requestor.c_store(objects.encode(objects.mr_image()))).stored
        assert dicom_server.associations == 1
        (came,) = await dicom_server.collector.wait()
    assert came.dataset.Modality == "MR"


def test_a_thread_has_the_handler_that_is_given_and_ends_with_its_server() -> None:
    threads = threading.active_count()
    where: list[threading.Thread] = []

    async def refuse(request: StoreRequest) -> int:
        where.append(threading.current_thread())
        request.dataset.discard()
        return Status.NOT_AUTHORIZED

    async def send(port: int) -> int | None:
        async with connect("127.0.0.1", port) as requestor:
            return (await requestor.c_store(objects.encode(objects.report()))).status

    with ServerThread(refuse, ae_title="THREAD") as running:
        assert running.ae_title == "THREAD"
        assert asyncio.run(send(running.port)) == Status.NOT_AUTHORIZED
        assert where != [threading.current_thread()]
    assert threading.active_count() == threads
    assert not running.collector.objects


def test_a_scripted_acceptor_can_have_a_thread_as_well() -> None:
    with (
        in_thread(accepting(scripts.rejecting(1, 1, 7))) as acceptor,
        pytest.raises(AssociationRejected),
    ):
        asyncio.run(echo(acceptor.port))


def test_pytest_is_imported_for_its_fixture_alone() -> None:
    program = """
import sys, aiodicom.testing as t
for name in t.__all__:
    if name != "dicom_server":
        getattr(t, name)
print("pytest" in sys.modules, "pydicom" in sys.modules)
t.dicom_server
print("pytest" in sys.modules)
"""
    ran = subprocess.run(
        (sys.executable, "-c", program), capture_output=True, text=True, timeout=20, check=True
    )
    assert ran.stdout.split() == ["False", "False", "True"]


def test_what_is_public_is_documented() -> None:
    from aiodicom import testing

    assert {name for name in testing.__all__ if not getattr(testing, name).__doc__} == set()
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        testing.nothing  # type: ignore[attr-defined]  # noqa: B018
