"""What is announced in tests, sinks that note it, and time that passes when nothing else can."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from aiodicom.announcing import Announcement, ObjectStored, Retries, StudyQuiet
from aiodicom.announcing.outbox import Outbox, Sink
from aiodicom.storage.stored import EndedStudy, StoredObject
from tests.peer import CT
from tests.timeless import TimelessLoop

AT = 1_700_000_000.5
"""2023-11-14T22:13:20.500Z."""


def stored(uid: str = "1.2.3", study: str = "1.2.9", **others: object) -> StoredObject:
    values: dict[str, object] = {
        "folder": "/in/Doe_20240101",
        "name": f"CT.{uid}",
        "sop_class_uid": CT,
        "sop_instance_uid": uid,
        "study_instance_uid": study,
        "calling_ae_title": "PEER",
        "called_ae_title": "HERE",
        "address": "192.0.2.1",
        "association": 1,
        "series_instance_uid": f"{study}.1",
        "transfer_syntax_uid": "1.2.840.10008.1.2.1",
        "size": 500,
        "at": AT,
    }
    return StoredObject(**{**values, **others})  # type: ignore[arg-type]


def announced(uid: str = "1.2.3", **others: object) -> ObjectStored:
    return ObjectStored(f"id-{uid}", "/aiodicom/test", AT, stored(uid, **others))  # type: ignore[arg-type]


def quiet(last: StoredObject | None = None) -> StudyQuiet:
    last = last or stored()
    senders = (("PEER", "HERE"), ("OTHER", "HERE"))
    study = EndedStudy(last.study_instance_uid, last.folder, 3, last, "quiet", 1500,
                       ("1.2.9.1", "1.2.9.2"), senders, AT - 10)  # fmt: skip
    return StudyQuiet("id-study", "/aiodicom/test", AT + 60, study)


class Taker:
    """A sink that notes when it was given what, and answers as it is told.

    Parameters
    ----------
    answers : Exception or None
        What it raises, one after the other; after the last one nothing.
    """

    def __init__(self, *answers: BaseException | None) -> None:
        self.given: list[Announcement] = []
        self.times: list[float] = []
        self._answers = list(answers)

    async def __call__(self, announcement: Announcement) -> None:
        self.given.append(announcement)
        self.times.append(asyncio.get_running_loop().time())
        answer = self._answers.pop(0) if self._answers else None
        if answer is not None:
            raise answer

    @property
    def uids(self) -> list[str]:
        return [uid_of(each) for each in self.given]

    @property
    def waits(self) -> list[float]:
        """The seconds between what it was given."""
        return [after - before for before, after in zip(self.times, self.times[1:], strict=False)]


def uid_of(announcement: Announcement) -> str:
    if isinstance(announcement, ObjectStored):
        return announcement.stored.sop_instance_uid
    return announcement.study.study_instance_uid


class Hanging(Taker):
    """A sink that never comes back."""

    async def __call__(self, announcement: Announcement) -> None:
        await super().__call__(announcement)
        await asyncio.get_running_loop().create_future()


def outbox(
    sink: Sink, *, room: int = 1000, at_once: int = 1, retries: Retries | None = None
) -> Outbox:
    return Outbox(sink, "sink", room, at_once, retries or Retries())


def timeless(main: Callable[[], Awaitable[None]]) -> None:
    """Run a test in time of its own: hours take a moment, and nothing waits for the network."""

    async def run() -> None:
        await main()

    with asyncio.Runner(loop_factory=TimelessLoop) as runner:
        runner.run(run())
