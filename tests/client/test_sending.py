"""send(): many objects, over one association or several, through thick and thin."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

import aiodicom
from aiodicom import (
    AssociationAborted,
    AssociationClosed,
    AssociationLost,
    AssociationRejected,
    NotSent,
    StoreResult,
)
from aiodicom.acceptor.association import Service
from aiodicom.objects.prepared import Preparation, Prepared
from aiodicom.wire.dimse import Tag
from aiodicom.wire.items import AsynchronousOperationsWindow
from aiodicom.wire.negotiation import EXPLICIT_LITTLE, Policy
from aiodicom.wire.pdu import Abort, AssociateReject, ReleaseRequest, ReleaseResponse
from tests.peer import CT
from tests.scripted_acceptor import (
    MR,
    TIMEOUTS,
    Caller,
    Received,
    accepting,
    connected,
    dataset,
    granting,
    nothing_left,
    open_descriptors,
    sparse_object,
    write_object,
)
from tests.serving import Keeper, happens, serving, until

JPEG = "1.2.840.10008.1.2.4.50"
ONLY_CT = [(CT, [EXPLICIT_LITTLE])]


def write_objects(folder: Path, count: int, size: int = 0, **settings: Any) -> list[Path]:
    return [write_object(folder, f"1.2.{number}", size, **settings) for number in range(count)]


async def sent(
    requestor: aiodicom.Requestor, paths: Iterable[Path], **settings: Any
) -> list[StoreResult]:
    """The results of all files."""
    async with contextlib.aclosing(requestor.send(paths, **settings)) as results:
        return [result async for result in results]


def statuses(results: Iterable[StoreResult]) -> list[int | None]:
    return [result.status for result in results]


def names(results: Iterable[StoreResult]) -> list[str]:
    return [Path(result.path).stem for result in results]


async def take_all(caller: Caller) -> None:
    await caller.accept()
    await caller.serve()


async def take_what_comes(caller: Caller) -> None:
    """Take objects; an association that nobody needs any more may end before it has any."""
    with contextlib.suppress(EOFError, ConnectionError):
        await caller.accept()
        await caller.serve(may_abort=True)


async def reject(caller: Caller) -> None:
    await caller.asked()
    await caller.send(AssociateReject(2, 3, 2))
    await caller.closed()


# Objects -----------------------------------------------------------------------------------------


async def test_objects_of_all_sizes_arrive_byte_for_byte(tmp_path: Path) -> None:
    sizes = [100, 16378, 16380, 262_144, 262_042, 262_146, 1_000_000, 200, 3_000_000, 300]
    paths = [write_object(tmp_path, f"1.2.{n}", size) for n, size in enumerate(sizes)]
    keeper = Keeper()
    async with (
        nothing_left(),
        serving(store=keeper) as server,
        aiodicom.connect("127.0.0.1", server.port, timeouts=TIMEOUTS) as requestor,
    ):
        results = await sent(requestor, paths)
    assert [result.path for result in results] == [str(path) for path in paths]
    assert [result.size for result in results] == sizes
    assert all(result.stored for result in results)
    assert [result.sop_instance_uid for result in results] == [path.stem for path in paths]
    for n, size in enumerate(sizes):
        assert await keeper.outcome() == dataset(f"1.2.{n}", size)


async def test_no_files_are_no_objects() -> None:
    async def script(caller: Caller) -> None:
        await caller.accept()
        await caller.released()

    async with accepting(script) as acceptor, connected(acceptor) as requestor:
        assert await sent(requestor, []) == []


async def test_more_files_than_are_read_together(tmp_path: Path) -> None:
    paths = write_objects(tmp_path, 300)
    async with accepting(take_all) as acceptor, connected(acceptor) as requestor:
        results = await sent(requestor, (path for path in paths))
    assert [result.path for result in results] == [str(path) for path in paths]
    assert all(result.stored for result in results)


async def test_files_that_cannot_be_sent_are_reported_and_the_others_sent(tmp_path: Path) -> None:
    (tmp_path / "not").write_bytes(b"no DICOM at all")
    odd = write_object(tmp_path, "1.2.50", 1001)
    other = write_object(tmp_path, "1.2.51", 100, MR)
    good = write_objects(tmp_path, 3)
    paths = [tmp_path / "not", good[0], odd, tmp_path / "none", good[1], other, good[2]]
    async with (
        accepting(take_all) as acceptor,
        connected(acceptor, contexts=ONLY_CT) as requestor,
    ):
        results = await sent(requestor, paths)
    by_name = {Path(result.path).name: result for result in results}
    assert len(results) == len(by_name) == 7
    assert [by_name[path.name].status for path in good] == [0, 0, 0]
    reasons = {
        "not": "not a DICOM file: neither a DICM prefix nor a dataset",
        "none": "cannot be read: No such file or directory",
        odd.name: "its dataset is 1001 bytes long, not an even number",
        other.name: "MR Image Storage was not proposed",
    }
    for name, reason in reasons.items():
        assert isinstance(by_name[name].error, NotSent)
        assert (by_name[name].reason, by_name[name].stored) == (reason, False)
    assert len(acceptor.callers) == 1


async def test_statuses_are_reported_and_the_others_sent(tmp_path: Path) -> None:
    said = [0x0000, 0xB000, 0xA700, 0x0110, 0xC123, 0xB007]

    async def script(caller: Caller) -> None:
        await caller.accept()
        for status in said:
            await caller.respond(await caller.store(), status, "a\nremark")
        await caller.released()

    async with (
        accepting(script) as acceptor,
        connected(acceptor, contexts=ONLY_CT) as requestor,
    ):
        results = await sent(requestor, write_objects(tmp_path, 6))
    assert statuses(results) == said
    assert [result.stored for result in results] == [True, True, False, False, False, True]
    assert results[2].comment == "a?remark"


async def test_progress_counts_what_is_sent(tmp_path: Path) -> None:
    paths = [*write_objects(tmp_path, 3, 1000), write_object(tmp_path, "1.2.9", 1_000_000)]
    counts: list[int] = []
    async with (
        accepting(take_all) as acceptor,
        connected(acceptor, contexts=ONLY_CT) as requestor,
    ):
        await sent(requestor, paths, progress=counts.append)
    assert len(counts) > 4
    assert sum(counts) == 1_003_000


async def test_headers_that_have_been_read_are_not_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = write_objects(tmp_path, 3)
    headers = await asyncio.to_thread(lambda: [aiodicom.read_header(str(p)) for p in paths])
    monkeypatch.setattr("aiodicom.client.requestor.read_header", None)
    async with accepting(take_all) as acceptor, connected(acceptor) as requestor:
        results = [result async for result in requestor.send(headers)]
    assert all(result.stored for result in results)


@pytest.mark.parametrize(
    ("form", "expected"), [("any", [0, 0]), ("file", [0, None]), ("dataset", [None, 0])]
)
async def test_datasets_alone_are_sent_as_well_or_nothing_else(
    tmp_path: Path, form: str, expected: list[int | None]
) -> None:
    file, alone = write_object(tmp_path, "1.2.1"), tmp_path / "alone"
    alone.write_bytes(dataset("1.2.2"))
    async with (
        accepting(take_all) as acceptor,
        connected(acceptor, contexts=ONLY_CT) as requestor,
    ):
        results = await sent(requestor, [file, alone], form=form)
    by_path = {result.path: result.status for result in results}
    assert [by_path[str(file)], by_path[str(alone)]] == expected


async def test_priority_goes_with_every_object(tmp_path: Path) -> None:
    async def script(caller: Caller) -> None:
        await caller.accept()
        for received in await caller.serve():
            assert received.command.number(Tag.PRIORITY) == aiodicom.Priority.LOW

    async with accepting(script) as acceptor, connected(acceptor) as requestor:
        await sent(requestor, write_objects(tmp_path, 3), priority=aiodicom.Priority.LOW)


async def test_paths_that_raise_are_the_callers_affair(tmp_path: Path) -> None:
    def failing() -> Iterator[Path]:
        yield write_object(tmp_path, "1.2.3")
        raise RuntimeError("no more paths")

    async def script(caller: Caller) -> None:
        await caller.accept()
        await caller.aborted()

    async with accepting(script) as acceptor:
        with pytest.raises(RuntimeError, match="no more paths"):
            async with connected(acceptor) as requestor:
                await sent(requestor, failing())


# Contexts ----------------------------------------------------------------------------------------


async def test_more_contexts_than_one_association_has(tmp_path: Path) -> None:
    """Further associations, each released before the next."""
    paths = [
        write_object(tmp_path, f"1.2.{number}", 300, f"1.2.840.10008.5.1.4.1.1.{number}", JPEG)
        for number in range(300)
    ]
    asked: list[int] = []
    taken: list[str] = []

    async def script(caller: Caller) -> None:
        request = await caller.accept()
        asked.append(len(request.presentation_contexts))
        taken.extend(received.uid for received in await caller.serve())

    async with accepting(script) as acceptor, connected(acceptor) as requestor:
        results = await sent(requestor, paths)
    assert asked == [1, 128, 128, 47]
    assert acceptor.most == 1
    assert all(result.stored for result in results)
    assert sorted(taken) == sorted(path.stem for path in paths)
    assert sorted(names(results)) == sorted(path.stem for path in paths)


async def test_128_contexts_are_one_association(tmp_path: Path) -> None:
    paths = [
        write_object(tmp_path, f"1.2.{number}", 300, f"1.2.840.10008.5.1.4.1.1.{number}", JPEG)
        for number in range(127)
    ]
    async with accepting(take_all) as acceptor, connected(acceptor) as requestor:
        results = await sent(requestor, paths)
    assert all(result.stored for result in results)
    assert len(acceptor.callers) == 2  # the first one is for Verification alone


async def test_the_present_association_is_used_where_it_will_do(tmp_path: Path) -> None:
    paths = write_objects(tmp_path, 4)
    async with accepting(take_all) as acceptor, connected(acceptor) as requestor:
        for _ in range(3):
            assert len(await sent(requestor, paths)) == 4
    assert len(acceptor.callers) == 2


# The window --------------------------------------------------------------------------------------


@pytest.mark.parametrize("granted", [None, 1, 2, 5, 8, 200, 0])
async def test_the_window_is_used_and_never_exceeded(tmp_path: Path, granted: int | None) -> None:
    """Responses come in the reverse order, and belong to the right objects."""
    paths = write_objects(tmp_path, 40)
    asked = 8
    window = 1 if granted is None else min(granted or asked, asked)

    async def script(caller: Caller) -> None:
        items = () if granted is None else (granting(granted),)
        request = await caller.accept(16384, *items)
        item = request.user_item(AsynchronousOperationsWindow)
        assert item == AsynchronousOperationsWindow(asked, 1)
        left = 40
        while left:
            outstanding = [await caller.store() for _ in range(min(window, left))]
            assert await caller.hears_nothing(0.02)
            for received in reversed(outstanding):
                number = int(received.uid.rsplit(".", 1)[1])
                await caller.respond(received, 0xB000 + number % 8)
            left -= len(outstanding)
        await caller.released()

    async with (
        accepting(script) as acceptor,
        connected(acceptor, contexts=ONLY_CT, window=asked) as requestor,
    ):
        results = await sent(requestor, paths)
    assert sorted(names(results)) == sorted(path.stem for path in paths)
    for result in results:
        number = int(result.sop_instance_uid.rsplit(".", 1)[1])
        assert result.status == 0xB000 + number % 8


async def test_a_window_without_a_limit(tmp_path: Path) -> None:
    paths = write_objects(tmp_path, 300)

    async def script(caller: Caller) -> None:
        await caller.accept(16384, granting(0))
        outstanding = [await caller.store() for _ in range(256)]
        assert await caller.hears_nothing()
        for received in outstanding:
            await caller.respond(received)
        await caller.serve()

    async with (
        accepting(script) as acceptor,
        connected(acceptor, contexts=ONLY_CT, window=0) as requestor,
    ):
        results = await sent(requestor, paths)
    assert len(results) == 300


async def test_our_own_acceptor_grants_a_window_and_we_use_it(tmp_path: Path) -> None:
    most = 0

    async def store(request: aiodicom.StoreRequest) -> int:
        nonlocal most
        await request.dataset.read()
        assert requestor._associations.present is not None
        most = max(most, len(requestor._associations.present._pending))
        return 0

    policy = Policy(lambda _: True, window=4)
    service = Service(policy, store)
    server = aiodicom.Server(service, ae_title="SCP", listeners=[aiodicom.Listener(0, "127.0.0.1")])
    async with nothing_left(), server, aiodicom.connect(
        "127.0.0.1", server.port, window=8
    ) as requestor:  # fmt: skip
        results = await sent(requestor, write_objects(tmp_path, 30, 50_000))
        assert requestor.agreed.window == 4
    assert all(result.stored for result in results)
    assert most == 4


async def test_two_senders_on_one_association_share_the_window(tmp_path: Path) -> None:
    paths = write_objects(tmp_path, 10)

    async def script(caller: Caller) -> None:
        await caller.accept()
        for _ in range(20):
            received = await caller.store()
            assert await caller.hears_nothing(0.005)
            await caller.respond(received)
        await caller.released()

    async with (
        accepting(script) as acceptor,
        connected(acceptor, contexts=ONLY_CT) as requestor,
    ):
        both = await asyncio.gather(sent(requestor, paths), sent(requestor, paths))
    assert [len(results) for results in both] == [10, 10]


# Several associations ----------------------------------------------------------------------------


async def test_as_many_associations_as_were_asked_for(tmp_path: Path) -> None:
    """All of them send at the same time: none is answered before each has an object."""
    paths = write_objects(tmp_path, 80)
    all_there, count = asyncio.Event(), 0

    async def script(caller: Caller) -> None:
        nonlocal count
        await caller.accept()
        received = await caller.store()
        count += 1
        if count == 4:
            all_there.set()
        await happens(all_there)
        await caller.respond(received)
        await caller.serve()

    async with (
        accepting(script) as acceptor,
        connected(acceptor, contexts=ONLY_CT) as requestor,
    ):
        results = await sent(requestor, paths, associations=4)
        assert acceptor.open == 1  # the others are released when there is no more work
    assert acceptor.most == len(acceptor.callers) == 4
    assert Counter(names(results)) == Counter(path.stem for path in paths)
    assert all(result.stored for result in results)


async def test_fewer_associations_than_were_asked_for_do_the_work(tmp_path: Path) -> None:
    paths = write_objects(tmp_path, 60)
    async with (
        accepting(take_all, take_all, reject) as acceptor,
        connected(acceptor, contexts=ONLY_CT) as requestor,
    ):
        results = await sent(requestor, paths, associations=5)
    assert acceptor.most >= 2
    assert Counter(names(results)) == Counter(path.stem for path in paths)
    assert all(result.stored for result in results)


async def test_associations_that_end_at_once_do_no_harm(tmp_path: Path) -> None:
    async def ending(caller: Caller) -> None:
        await caller.accept()
        await caller.send(Abort(2, 0))
        await caller.gone()

    paths = write_objects(tmp_path, 60)
    async with (
        accepting(take_all, ending) as acceptor,
        connected(acceptor, contexts=ONLY_CT) as requestor,
    ):
        results = await sent(requestor, paths, associations=3)
    assert Counter(names(results)) == Counter(path.stem for path in paths)
    assert sum(result.stored for result in results) >= 50


async def test_more_associations_than_files(tmp_path: Path) -> None:
    async with (
        accepting(take_what_comes) as acceptor,
        connected(acceptor, contexts=ONLY_CT) as requestor,
    ):
        results = await sent(requestor, write_objects(tmp_path, 2), associations=10)
    assert statuses(results) == [0, 0]


@pytest.mark.parametrize("associations", [0, -1])
async def test_no_association_at_all_sends_nothing_and_says_so(
    tmp_path: Path, associations: int
) -> None:
    async def script(caller: Caller) -> None:
        await caller.accept()
        await caller.released()

    async with accepting(script) as acceptor, connected(acceptor) as requestor:
        with pytest.raises(ValueError, match=f"{associations} associations"):
            await sent(requestor, write_objects(tmp_path, 2), associations=associations)


# Halting -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [2, 31, 33, 100])
async def test_the_first_failure_is_the_last_object(tmp_path: Path, count: int) -> None:
    async def script(caller: Caller) -> None:
        await caller.accept()
        await caller.respond(await caller.store())
        await caller.respond(await caller.store(), 0xA700)
        await caller.released()  # what was read ahead does not come

    before = open_descriptors()
    async with (
        accepting(script) as acceptor,
        connected(acceptor, contexts=ONLY_CT) as requestor,
    ):
        results = await sent(requestor, write_objects(tmp_path, count), halt=True)
        assert statuses(results) == [0, 0xA700]
    assert open_descriptors() == before


async def test_large_objects_that_were_read_ahead_are_closed(tmp_path: Path) -> None:
    paths = [sparse_object(tmp_path, f"1.2.{number}", 1 << 22) for number in range(5)]

    async def script(caller: Caller) -> None:
        await caller.accept()
        await caller.respond(await caller.store(), 0xA700)
        await caller.released()

    async with (
        accepting(script) as acceptor,
        connected(acceptor, contexts=ONLY_CT) as requestor,
    ):
        assert statuses(await sent(requestor, paths, halt=True)) == [0xA700]
        assert not [name for name in open_descriptors() if name.endswith(".dcm")]


async def test_halting_with_several_associations(tmp_path: Path) -> None:
    async def script(caller: Caller) -> None:
        with contextlib.suppress(EOFError, ConnectionError):
            await caller.accept()
            await caller.serve(0xA700, may_abort=True)

    async with (
        accepting(script) as acceptor,
        connected(acceptor, contexts=ONLY_CT) as requestor,
    ):
        results = await sent(requestor, write_objects(tmp_path, 200), halt=True, associations=3)
    assert 1 <= len(results) <= 3
    assert set(statuses(results)) == {0xA700}


async def test_a_file_that_cannot_be_sent_halts_as_well(tmp_path: Path) -> None:
    async def script(caller: Caller) -> None:
        await caller.accept()
        await caller.released()

    (tmp_path / "not").write_bytes(b"no DICOM at all")
    paths = [*write_objects(tmp_path, 3), tmp_path / "not", tmp_path / "none"]
    async with accepting(script) as acceptor, connected(acceptor) as requestor:
        results = await sent(requestor, paths, halt=True)
    assert names(results) == ["not"]


async def test_an_odd_file_halts_as_well(tmp_path: Path) -> None:
    odd = [write_object(tmp_path, f"1.3.{number}", 1001) for number in range(2)]
    paths = [*write_objects(tmp_path, 3), *odd, *write_objects(tmp_path, 40)]
    taken: list[Received] = []

    async def script(caller: Caller) -> None:
        await caller.accept()
        taken.extend(await caller.serve())

    async with (
        accepting(script) as acceptor,
        connected(acceptor, contexts=ONLY_CT, window=1) as requestor,
    ):
        results = await sent(requestor, paths, halt=True)
    assert sorted(names(results)) == ["1.2.0", "1.2.1", "1.2.2", "1.3.0"]
    assert len(taken) == 3


async def test_halting_ends_the_further_associations_as_well(tmp_path: Path) -> None:
    paths = [
        write_object(tmp_path, f"1.2.{number}", 300, f"1.2.840.10008.5.1.4.1.1.{number}", JPEG)
        for number in range(200)
    ]

    async def script(caller: Caller) -> None:
        await caller.accept()
        await caller.respond(await caller.store(), 0xA700)
        await caller.released()

    async def first(caller: Caller) -> None:
        await caller.accept()
        await caller.released()

    async with accepting(first, script) as acceptor, connected(acceptor) as requestor:
        assert statuses(await sent(requestor, paths, halt=True)) == [0xA700]
    assert len(acceptor.callers) == 2


# What goes wrong on the way ----------------------------------------------------------------------


async def abort_third(caller: Caller) -> None:
    await caller.send(Abort(2, 6))
    await caller.gone()


async def release_third(caller: Caller) -> None:
    await caller.send(ReleaseRequest())
    await caller.expect(ReleaseResponse())
    await caller.gone()


async def cut_third(caller: Caller) -> None:
    caller.cut()


ENDS = pytest.mark.parametrize(
    ("end", "kind"),
    [
        (abort_third, AssociationAborted),
        (release_third, AssociationClosed),
        (cut_third, AssociationLost),
    ],
)


@ENDS
async def test_an_end_between_two_objects_costs_the_one_that_is_under_way(
    tmp_path: Path, end: Any, kind: type[AssociationClosed]
) -> None:
    async def script(caller: Caller) -> None:
        await caller.accept()
        for _ in range(2):
            await caller.respond(await caller.store())
        await caller.store()
        await end(caller)

    paths = write_objects(tmp_path, 70)
    odd = write_object(tmp_path, "1.3.1", 1001)  # is read ahead, and reported all the same
    async with (
        accepting(script, take_all) as acceptor,
        connected(acceptor, contexts=ONLY_CT) as requestor,
    ):
        results = await sent(requestor, [*paths[:10], odd, *paths[10:]])
    (not_sent,) = (result for result in results if isinstance(result.error, NotSent))
    assert not_sent.path == str(odd)
    results.remove(not_sent)
    assert isinstance(results[2].error, kind)
    assert names(results) == [path.stem for path in paths]
    assert statuses(results).count(0) == 69
    assert len(acceptor.callers) == 2


async def test_an_end_in_the_middle_of_a_dataset(tmp_path: Path) -> None:
    async def script(caller: Caller) -> None:
        await caller.accept()
        await caller.respond(await caller.store())
        await caller.store_begun()
        await caller.send(Abort(0, 0))
        await caller.gone()

    paths = [
        write_object(tmp_path, "1.2.0"),
        sparse_object(tmp_path, "1.2.1", 1 << 25),
        *(write_object(tmp_path, f"1.2.{number}") for number in range(2, 40)),
    ]
    async with (
        accepting(script, take_all) as acceptor,
        connected(acceptor, contexts=ONLY_CT) as requestor,
    ):
        results = await sent(requestor, paths)
    assert names(results)[:2] == ["1.2.0", "1.2.1"]
    assert isinstance(results[1].error, AssociationAborted)
    assert Counter(names(results)) == Counter(path.stem for path in paths)
    assert statuses(results).count(0) == 39


async def test_an_end_with_several_objects_under_way(tmp_path: Path) -> None:
    async def script(caller: Caller) -> None:
        await caller.accept(16384, granting(4))
        outstanding = [await caller.store() for _ in range(4)]
        await caller.respond(outstanding[2])
        await caller.store()
        caller.cut()

    paths = write_objects(tmp_path, 50)
    async with (
        accepting(script, take_all) as acceptor,
        connected(acceptor, contexts=ONLY_CT) as requestor,
    ):
        results = await sent(requestor, paths)
    lost = [result for result in results if result.error]
    assert names(lost) == ["1.2.0", "1.2.1", "1.2.3", "1.2.4"]
    assert all(isinstance(result.error, AssociationLost) for result in lost)
    assert Counter(names(results)) == Counter(path.stem for path in paths)
    assert statuses(results).count(0) == 46


async def test_an_end_before_an_object_has_had_its_turn(tmp_path: Path) -> None:
    async def script(caller: Caller) -> None:
        await caller.accept()
        await caller.command()
        await until(lambda: association._answered is not None)
        await caller.send(Abort(0, 0))
        await caller.gone()

    contexts = [("1.2.840.10008.1.1", ["1.2.840.10008.1.2"]), *ONLY_CT]
    path = sparse_object(tmp_path, "1.3.1", 1 << 22)
    async with accepting(script) as acceptor, connected(acceptor, contexts=contexts) as requestor:
        assert requestor._associations.present is not None
        association = requestor._associations.present
        echo = asyncio.create_task(requestor.c_echo())
        await until(lambda: bool(association._pending))
        (result,) = await sent(requestor, [path])
        assert isinstance(result.error, AssociationAborted)
        with pytest.raises(AssociationAborted):
            await echo
        assert str(path) not in open_descriptors()


async def test_a_peer_that_aborts_every_object(tmp_path: Path) -> None:
    async def script(caller: Caller) -> None:
        await caller.accept()
        await caller.store()
        await caller.send(Abort(0, 0))
        await caller.gone()

    async with (
        accepting(script) as acceptor,
        connected(acceptor, contexts=ONLY_CT) as requestor,
    ):
        results = await sent(requestor, write_objects(tmp_path, 12))
    assert [type(result.error) for result in results] == [AssociationAborted] * 12
    assert acceptor.most <= 2


@pytest.mark.parametrize("associations", [1, 3])
async def test_a_peer_that_aborts_every_association_at_once(
    tmp_path: Path, associations: int
) -> None:
    async def script(caller: Caller) -> None:
        await caller.accept()
        await caller.send(Abort(2, 1))
        await caller.gone()

    async with (
        accepting(script) as acceptor,
        connected(acceptor, contexts=ONLY_CT) as requestor,
    ):
        paths = write_objects(tmp_path, 5)
        async with asyncio.timeout(5):
            with contextlib.suppress(AssociationAborted):
                for result in await sent(requestor, paths, associations=associations):
                    assert isinstance(result.error, AssociationAborted)
    assert len(acceptor.callers) <= 2 + associations


async def test_a_peer_that_closes_every_association_at_once(tmp_path: Path) -> None:
    async def script(caller: Caller) -> None:
        await caller.accept()
        await caller.send(ReleaseRequest())
        await caller.gone()

    async with (
        accepting(script) as acceptor,
        connected(acceptor, contexts=ONLY_CT) as requestor,
    ):
        async with asyncio.timeout(5):
            with contextlib.suppress(AssociationClosed):
                await sent(requestor, write_objects(tmp_path, 5))
    assert len(acceptor.callers) <= 7


async def test_when_nothing_can_be_opened_any_more_send_raises(tmp_path: Path) -> None:
    async def script(caller: Caller) -> None:
        await caller.accept()
        await caller.respond(await caller.store())
        await caller.store()
        caller.cut()

    async with (
        accepting(script, reject) as acceptor,
        connected(acceptor, contexts=ONLY_CT) as requestor,
    ):
        results = requestor.send(write_objects(tmp_path, 70))
        seen = [await anext(results), await anext(results)]
        with pytest.raises(AssociationRejected, match="local limit exceeded"):
            await anext(results)
    assert names(seen) == ["1.2.0", "1.2.1"]
    assert isinstance(seen[1].error, AssociationLost)


async def test_a_file_that_becomes_shorter_costs_the_association_and_nothing_else(
    tmp_path: Path,
) -> None:
    large = sparse_object(tmp_path, "1.3.1", 1 << 25)
    paths = [*write_objects(tmp_path, 2), large, *write_objects(tmp_path, 35)]

    async def script(caller: Caller) -> None:
        await caller.accept()
        for _ in range(2):
            await caller.respond(await caller.store())
        await caller.store_begun()
        os.truncate(large, 1 << 20)
        await caller.aborted()

    async with (
        accepting(script, take_all) as acceptor,
        connected(acceptor, contexts=ONLY_CT) as requestor,
    ):
        results = await sent(requestor, paths)
    (lost,) = (result for result in results if result.error)
    assert lost.path == str(large)
    assert lost.reason == "the file has become shorter while it was sent"
    assert isinstance(lost.error, NotSent)
    assert Counter(result.path for result in results) == Counter(map(str, paths))
    assert statuses(results).count(0) == 37
    assert len(acceptor.callers) == 2


async def test_a_file_that_vanishes_before_its_turn(tmp_path: Path) -> None:
    paths = write_objects(tmp_path, 100)

    async def script(caller: Caller) -> None:
        await caller.accept()
        first = await caller.store()
        paths[99].unlink()
        await caller.respond(first)
        await caller.serve()

    async with (
        accepting(script) as acceptor,
        connected(acceptor, contexts=ONLY_CT) as requestor,
    ):
        results = await sent(requestor, paths)
    by_path = {result.path: result for result in results}
    assert by_path[str(paths[99])].reason == "cannot be read: No such file or directory"
    assert statuses(results).count(0) == 99
    assert len(acceptor.callers) == 1


async def test_a_file_that_vanishes_while_it_is_sent_is_sent(tmp_path: Path) -> None:
    path = sparse_object(tmp_path, "1.3.1", 1 << 22)

    async def script(caller: Caller) -> None:
        await caller.accept()
        received = await caller.store_begun()
        path.unlink()
        while not received.pdvs[-1].is_last:
            received.pdvs.append(await caller.dataset_pdv(received))
        assert len(received.data) == 1 << 22
        await caller.respond(received)
        await caller.released()

    async with (
        accepting(script) as acceptor,
        connected(acceptor, contexts=ONLY_CT) as requestor,
    ):
        assert statuses(await sent(requestor, [path])) == [0]


async def test_an_early_failure_while_the_file_becomes_shorter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was read ahead in vain is not told of as an error that nobody has retrieved."""
    path = sparse_object(tmp_path, "1.3.1", 1 << 22)
    failed = threading.Event()
    reads = 0
    read = Prepared.read

    def failing(prepared: Prepared) -> bytearray:
        nonlocal reads
        reads += 1
        if reads == 4:  # the peer takes no more of the third part
            failed.set()
            raise NotSent("the file has become shorter while it was sent")
        return read(prepared)

    monkeypatch.setattr(Prepared, "read", failing)

    async def script(caller: Caller) -> None:
        await caller.accept(1 << 17)
        received = await caller.store_begun()
        await until(lambda: failed.is_set() and association._drained is not None)
        await caller.respond(received, 0xA700)
        while not received.pdvs[-1].is_last:
            received.pdvs.append(await caller.dataset_pdv(received))
        await caller.released()

    async with (
        accepting(script, receive_buffer=1 << 12) as acceptor,
        connected(acceptor, contexts=ONLY_CT) as requestor,
    ):
        assert requestor._associations.present is not None
        association = requestor._associations.present
        assert association._transport is not None
        sending = association._transport.get_extra_info("socket")
        sending.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 12)
        assert statuses(await sent(requestor, [path])) == [0xA700]


# Breaking off ------------------------------------------------------------------------------------


@pytest.mark.parametrize("closing", [True, False], ids=["closed", "forgotten"])
@pytest.mark.parametrize("associations", [1, 3])
async def test_breaking_off_in_the_middle_of_a_dataset(
    tmp_path: Path, associations: int, *, closing: bool
) -> None:
    """What has begun is aborted, never released as if it were whole."""
    paths = write_objects(tmp_path, 6) + [
        sparse_object(tmp_path, f"1.3.{number}", 1 << 25) for number in range(6)
    ]
    whole, over = 0, False

    async def script(caller: Caller) -> None:
        nonlocal whole
        await caller.accept()
        with contextlib.suppress(EOFError):
            while True:
                received = await caller.store_begun()
                if not received.pdvs[-1].is_last:
                    break
                await caller.respond(received)
            whole += 1
            await until(lambda: over)
            await caller.aborted()

    async with (
        accepting(script) as acceptor,
        connected(acceptor, contexts=ONLY_CT) as requestor,
    ):
        results = requestor.send(paths, associations=associations)
        count = 0
        async for _ in results:
            count += 1
            if count == 6:
                break
        await until(lambda: whole == associations)
        over = True
        if closing:
            await results.aclose()
        del results
    assert acceptor.most == associations


@pytest.mark.parametrize("associations", [1, 3])
async def test_leaving_with_results_that_nobody_has_closed(
    tmp_path: Path, associations: int
) -> None:
    """What was to be sent still is not sent over new associations behind everybody's back."""

    async def script(caller: Caller) -> None:
        await caller.accept()
        await caller.respond(await caller.store())
        await caller.ended()

    async with accepting(script) as acceptor:
        async with connected(acceptor, contexts=ONLY_CT) as requestor:
            results = requestor.send(write_objects(tmp_path, 100), associations=associations)
            for _ in range(associations):
                assert (await anext(results)).stored
        await until(lambda: acceptor.open == 0)
        assert len(acceptor.callers) == associations
        with pytest.raises(AssociationClosed, match="left before all was sent"):
            _ = [result async for result in results]


async def test_breaking_off_while_responses_are_waited_for_closes_the_other_associations(
    tmp_path: Path,
) -> None:
    waiting, count = asyncio.Event(), 0

    async def first(caller: Caller) -> None:
        await caller.accept()
        received = await caller.store()
        await happens(waiting)
        await caller.respond(received)
        await caller.ended()

    async def other(caller: Caller) -> None:
        nonlocal count
        await caller.accept()
        await caller.store()
        count += 1
        if count == 2:
            waiting.set()
        await caller.aborted()

    async with (
        accepting(first, other) as acceptor,
        connected(acceptor, contexts=ONLY_CT) as requestor,
    ):
        results = requestor.send(write_objects(tmp_path, 60), associations=3)
        assert (await anext(results)).stored
        await results.aclose()
        await until(lambda: acceptor.open == 1)


async def test_breaking_off_while_a_thread_reads_closes_its_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [sparse_object(tmp_path, f"1.3.{number}", 1 << 22) for number in range(4)]
    let_go, entered = threading.Event(), threading.Event()
    count = 0
    of = Preparation.of

    def slow(self: Preparation, *arguments: Any) -> Prepared:
        nonlocal count
        count += 1
        if count == 2:
            entered.set()
            assert let_go.wait(10)
        return of(self, *arguments)

    monkeypatch.setattr(Preparation, "of", slow)

    async def script(caller: Caller) -> None:
        await caller.accept(1 << 17)
        await caller.respond(await caller.store())
        await caller.ended()

    async with (
        accepting(script) as acceptor,
        connected(acceptor, contexts=ONLY_CT) as requestor,
    ):
        results = requestor.send(paths)
        assert (await anext(results)).stored
        await until(entered.is_set)
        closing = asyncio.create_task(results.aclose())
        await asyncio.sleep(0.02)
        let_go.set()
        await closing
        assert not [name for name in open_descriptors() if name.endswith(".dcm")]


async def test_leaving_in_a_hurry_while_a_thread_reads_closes_its_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who breaks off and leaves at once cancels twice."""
    paths = [sparse_object(tmp_path, f"1.3.{number}", 1 << 22) for number in range(4)]
    let_go, entered = threading.Event(), threading.Event()
    count = 0
    of = Preparation.of

    def slow(self: Preparation, *arguments: Any) -> Prepared:
        nonlocal count
        count += 1
        if count == 2:
            entered.set()
            assert let_go.wait(10)
        return of(self, *arguments)

    monkeypatch.setattr(Preparation, "of", slow)

    async def script(caller: Caller) -> None:
        await caller.accept(1 << 17)
        await caller.respond(await caller.store())
        await caller.ended()

    async with accepting(script) as acceptor:
        async with connected(acceptor, contexts=ONLY_CT) as requestor:
            results = requestor.send(paths)
            assert (await anext(results)).stored
            await until(entered.is_set)
            closing = asyncio.create_task(results.aclose())
            await asyncio.sleep(0.02)  # the first cancellation may take effect
        let_go.set()
        await closing
        await until(lambda: not any(name.endswith(".dcm") for name in open_descriptors()))


async def test_a_consumer_that_is_cancelled(tmp_path: Path) -> None:
    begun = asyncio.Event()

    async def script(caller: Caller) -> None:
        await caller.accept()
        await caller.store_begun()
        begun.set()
        await caller.aborted()

    async def consume(requestor: aiodicom.Requestor) -> None:
        async with requestor:
            await sent(requestor, [sparse_object(tmp_path, "1.3.1", 1 << 25)])

    async with accepting(script) as acceptor:
        task = asyncio.create_task(consume(connected(acceptor, contexts=ONLY_CT)))
        await happens(begun)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_storing_while_sending(tmp_path: Path) -> None:
    """What the present association will do for is sent; for anything else it would be needed."""
    other = write_object(tmp_path, "1.3.1", 100, MR)
    async with accepting(take_all) as acceptor, connected(acceptor) as requestor:
        results = requestor.send(write_objects(tmp_path, 5))
        async with asyncio.timeout(5), contextlib.aclosing(results):
            async for result in results:
                assert result.stored
                assert await requestor.c_echo() == 0
                assert (await requestor.c_store(result.path)).stored
                with pytest.raises(NotSent, match="another association is needed"):
                    await requestor.c_store(other)
        assert (await requestor.c_store(other)).stored


# What a result says ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("result", "stored", "reason"),
    [
        (StoreResult("a", status=0), True, "0x0000"),
        (StoreResult("a", status=0xB000, comment="coerced"), True, "0xB000: coerced"),
        (StoreResult("a", status=0xA700, comment="full"), False, "0xA700: full"),
        (StoreResult("a", status=0x0122), False, "0x0122"),
        (StoreResult("a", error=NotSent("it is odd")), False, "it is odd"),
        (StoreResult("a", error=AssociationLost("no response")), False, "no response"),
    ],
)
def test_what_a_result_says(result: StoreResult, *, stored: bool, reason: str) -> None:
    assert (result.stored, result.reason) == (stored, reason)
