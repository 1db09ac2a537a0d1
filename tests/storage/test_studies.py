"""When a study has ended: one sender, several at once, with a timeout and without."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from aiodicom.storage.stored import EndedStudy, StoredObject
from aiodicom.storage.studies import Run, Studies
from tests.serving import until
from tests.storage.objects import names

S, T, U = "1.2.1", "1.2.2", "1.2.3"


class Ends:
    """Studies whose ends are noted."""

    def __init__(self, timeout: float | None = None, *, renames: bool = False) -> None:
        self.ended: list[EndedStudy] = []
        self.studies = Studies(timeout=timeout, renames=renames, on_end=self.ended.append)

    @property
    def uids(self) -> list[str]:
        return [study.study_instance_uid for study in self.ended]

    def store(self, uid: str, association: int = 1, folder: str = "/in", name: str = "CT.1") -> Run:
        """Have an object come and be stored; return the run that it is in."""
        run = self.studies.enter(uid, association)
        self.studies.leave(run, stored(uid, association, folder, name))
        return run


def stored(uid: str, association: int = 1, folder: str = "/in", name: str = "CT.1") -> StoredObject:
    calling = f"PEER{association}"
    return StoredObject(folder, name, "1.2", "1.2", uid, calling, "HERE", "192.0.2.1", association)


# One sender ---------------------------------------------------------------------------------------


async def test_object_of_another_study_ends_a_study() -> None:
    ends = Ends()
    for _ in range(3):
        ends.store(S)
    assert ends.uids == []
    ends.store(T)
    assert ends.uids == [S]
    assert ends.ended[0].objects == 3
    assert len(ends.studies) == 1


async def test_study_in_several_associations_is_one() -> None:
    ends = Ends()
    runs = []
    for association in range(5):
        runs.append(ends.store(S, association))
        ends.studies.association_ended(association)
    assert len(set(map(id, runs))) == 1
    assert ends.uids == []
    ends.store(T, 9)
    assert ends.uids == [S]
    assert ends.ended[0].objects == 5


async def test_study_that_comes_again_is_a_new_run() -> None:
    ends = Ends()
    first = ends.store(S)
    ends.store(T)
    assert ends.store(S) is not first
    assert ends.uids == [S, T]


async def test_end_tells_of_the_object_stored_last_and_of_no_other_study() -> None:
    ends = Ends()
    ends.store(S, 1, "/in/s", "CT.1")
    ends.store(T, 2, "/in/t", "MR.1")
    ends.studies.association_ended(1)
    assert ends.uids == [S]
    ended = ends.ended[0]
    assert (ended.folder, ended.last.name, ended.last.calling_ae_title) == (
        "/in/s",
        "CT.1",
        "PEER1",
    )


# Several at once ----------------------------------------------------------------------------------


async def test_senders_that_alternate_do_not_end_each_others_studies() -> None:
    ends = Ends()
    first, second = ends.store(S, 1), ends.store(T, 2)
    for _ in range(5):
        assert ends.store(S, 1) is first
        assert ends.store(T, 2) is second
    assert ends.uids == []
    ends.studies.association_ended(1)
    assert ends.uids == [S]
    assert ends.ended[0].objects == 6
    ends.store(U, 2)
    assert ends.uids == [S, T]
    assert ends.ended[1].objects == 6


async def test_study_from_two_senders_ends_after_both() -> None:
    ends = Ends()
    ends.store(S, 1)
    ends.store(S, 2)
    ends.store(T, 1)
    assert ends.uids == []
    ends.store(T, 2)
    assert ends.uids == [S]


async def test_latest_study_waits_for_another_one() -> None:
    ends = Ends()
    ends.store(S, 1)
    ends.store(T, 2)
    ends.studies.association_ended(2)
    assert ends.uids == []  # T is the latest, and 1 is at S
    ends.store(S, 1)
    assert ends.uids == [T]


async def test_study_does_not_end_while_an_object_of_it_comes() -> None:
    ends = Ends()
    run = ends.studies.enter(S, 1)
    ends.studies.association_ended(1)
    ends.store(T, 2)
    assert ends.uids == []
    ends.studies.leave(run, stored(S))
    assert ends.uids == [S]


async def test_associations_that_have_ended_are_forgotten() -> None:
    ends = Ends()
    for association in range(100):
        ends.store(f"1.2.{association}", association)
        ends.studies.association_ended(association)
    assert len(ends.studies) == 1
    assert not ends.studies._at
    ends.studies.association_ended(12345)  # one that never sent an object


# With a timeout -----------------------------------------------------------------------------------


async def test_quiet_study_ends() -> None:
    ends = Ends(0.01)
    ends.store(S)
    ends.store(S)
    await until(lambda: ends.uids == [S])
    assert ends.ended[0].objects == 2
    assert len(ends.studies) == 0


async def test_with_a_timeout_other_studies_end_nothing() -> None:
    ends = Ends(1000)
    first = ends.store(S)
    for _ in range(3):
        ends.store(T)
        assert ends.store(S) is first
    ends.studies.association_ended(1)
    assert ends.uids == []
    await ends.studies.close()


async def test_object_that_is_coming_keeps_its_study_open() -> None:
    ends = Ends(0.02)
    ends.store(S)
    coming = ends.studies.enter(S, 1)
    ends.store(T)
    await until(lambda: T in ends.uids)  # S's own time has been over for longer
    assert ends.uids == [T]
    ends.studies.leave(coming, stored(S))
    await until(lambda: ends.uids == [T, S])


async def test_each_object_begins_the_wait_again(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()
    calls: list[tuple[float, Callable[..., None], tuple[object, ...]]] = []
    now = [100.0]
    monkeypatch.setattr("aiodicom.storage.studies.asyncio.get_running_loop", lambda: Clock())

    class Clock:
        def time(self) -> float:
            return now[0]

        def call_later(self, delay: float, call: Callable[..., None], *args: object) -> object:
            calls.append((delay, call, args))
            return loop.call_later(1000, call, *args)

    ends = Ends(10)
    ends.store(S)
    now[0] += 7
    ends.store(S)
    now[0] += 3
    assert [delay for delay, _, _ in calls] == [10]
    calls[0][1](*calls[0][2])
    assert ends.uids == []
    assert calls[1][0] == 7
    now[0] += 7
    calls[1][1](*calls[1][2])
    assert ends.uids == [S]


@pytest.mark.parametrize("timeout", [-1, -0.001, float("nan")])
def test_timeout_that_is_none(timeout: float) -> None:
    with pytest.raises(ValueError, match="timeout"):
        Studies(timeout=timeout)


# Ends ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("timeout", [None, 1000])
async def test_stop_ends_all_studies(timeout: float | None) -> None:
    ends = Ends(timeout)
    ends.store(S, 1)
    ends.store(T, 2)
    await ends.studies.close()
    assert sorted(ends.uids) == [S, T]
    assert len(ends.studies) == 0
    assert not ends.studies._at
    await ends.studies.close()
    assert len(ends.ended) == 2


async def test_files_are_renamed_before_the_end_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    rename = Run.rename

    def noted(run: Run) -> None:
        rename(run)
        seen.append("renamed")

    monkeypatch.setattr(Run, "rename", noted)
    studies = Studies(renames=True, on_end=lambda ended: seen.append("told"))
    for name in ("CT.1.2", "MR.1.2", "CT.1.2"):  # one of them was sent twice
        (tmp_path / name).write_text(name)
        studies.leave(studies.enter(S, 1), stored(S, 1, str(tmp_path), name))
    await studies.close()
    assert seen == ["renamed", "told"]
    assert names(tmp_path) == ["CT000001", "MR000002"]


async def test_renaming_that_hangs_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ends = Ends(renames=True)
    asked, released = asyncio.Event(), asyncio.Event()

    async def hang(call: Callable[[], None]) -> None:
        asked.set()
        await released.wait()

    monkeypatch.setattr("aiodicom.storage.studies.asyncio.to_thread", hang)
    ends.store(S)
    await ends.studies.close(patience=0.01)
    assert asked.is_set()
    assert [r.levelno for r in caplog.records] == [logging.ERROR]
    released.set()
    await until(lambda: ends.uids == [S])


async def test_failure_of_what_follows_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    def fail(ended: EndedStudy) -> None:
        raise RuntimeError("of theirs")

    studies = Studies(on_end=fail)
    studies.leave(studies.enter(S, 1), stored(S))
    studies.leave(studies.enter(T, 1), stored(T))
    assert len(studies) == 1
    assert "RuntimeError" in caplog.text


async def test_study_without_an_object_is_none_and_leaves_no_folder(tmp_path: Path) -> None:
    ends = Ends()
    run = ends.studies.enter(S, 1)

    def make() -> str:
        (tmp_path / "study").mkdir()
        return str(tmp_path / "study")

    await run.folder(make)
    ends.studies.leave(run, None)
    ends.store(T)
    await ends.studies.close()
    assert ends.uids == [T]
    assert names(tmp_path) == []


async def test_folder_of_a_run_is_made_once() -> None:
    run = Run(S)
    made: list[None] = []

    def make() -> str:
        made.append(None)
        return f"/in/{len(made)}"

    folders = await asyncio.gather(*(run.folder(make) for _ in range(5)))
    assert folders == ["/in/1"] * 5


async def test_folder_that_cannot_be_made_is_tried_again_for_the_next_object() -> None:
    run = Run(S)

    def fail() -> str:
        raise PermissionError(13, "Permission denied")

    with pytest.raises(PermissionError):
        await run.folder(fail)
    assert await run.folder(lambda: "/in/1") == "/in/1"


async def test_object_that_is_cancelled_leaves_the_folder_to_the_others() -> None:
    run, made = Run(S), asyncio.Event()
    loop = asyncio.get_running_loop()

    def make() -> str:
        loop.call_soon_threadsafe(made.set)
        return "/in/1"

    task = asyncio.ensure_future(run.folder(make))
    await made.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await run.folder(lambda: "/in/2") == "/in/1"
