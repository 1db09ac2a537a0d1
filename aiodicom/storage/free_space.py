"""Whether there is room for more: free space and free inodes, looked at once a second.

A disk that fills up is noticed before it is full: what has begun can still be stored, and senders
are told at once, before they send, that it is temporary. It is looked at in a thread, after an
object has come and then at most once a second; nobody waits for that. While there is too little it
is looked at every second, so that things go on by themselves; who is idle and has room looks at
nothing.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import os
from dataclasses import dataclass

from aiodicom.errors import Refused
from aiodicom.wire.dimse import Status

__all__ = ["FreeSpace", "Room"]

logger = logging.getLogger("aiodicom.storage")

INTERVAL = 1.0
"""Seconds between two looks."""

MOST_BYTES = 256 << 20
MOST_INODES = 1000
"""What is kept free where nobody says how much; of a small file system a hundredth is."""


@dataclass(frozen=True, slots=True)
class Room:
    """What a file system has for those who are not root.

    Parameters
    ----------
    free_bytes, total_bytes, free_inodes, total_inodes : int
        `total_inodes` is 0 where they are not counted (Btrfs).
    lacking : str
        What there is too little of, in words, where somebody has judged that.
    """

    free_bytes: int
    total_bytes: int
    free_inodes: int
    total_inodes: int
    lacking: str = ""

    @classmethod
    def of(cls, folder: str) -> Room:
        """Ask the system. It may take long: not in an event loop.

        Raises
        ------
        OSError
            What the system said.
        """
        asked = os.statvfs(folder)
        size = asked.f_frsize
        return cls(asked.f_bavail * size, asked.f_blocks * size, asked.f_favail, asked.f_files)

    def lacks(self, least_bytes: int | None, least_inodes: int | None, *, more: int = 0) -> str:
        """Return what there is too little of, in words; an empty string where there is enough.

        Parameters
        ----------
        least_bytes, least_inodes : int or None
            What is enough; None: a hundredth of all, and 256 MiB or 1,000 at most.
        more : int
            Per cent by which there must be more than that.
        """
        if least_bytes is None:
            least_bytes = min(MOST_BYTES, self.total_bytes // 100)
        if least_inodes is None:
            least_inodes = min(MOST_INODES, self.total_inodes // 100)
        if self.free_bytes * 100 < least_bytes * (100 + more):
            return f"{self.free_bytes} bytes are free, {least_bytes} are to stay so"
        if self.total_inodes and self.free_inodes * 100 < least_inodes * (100 + more):
            return f"{self.free_inodes} inodes are free, {least_inodes} are to stay so"
        return ""


class FreeSpace:
    """Looks after the room in a folder.

    Parameters
    ----------
    least_bytes, least_inodes : int or None
        Below which there is too little; see `Room.lacks`. Of 0 there is always enough.

    Attributes
    ----------
    is_short : bool
        Whether there is too little.
    is_watched : bool
        Whether it is being looked at, or was less than a second ago.
    asks : bool
        Whether `check` is to be called for the next object: not where all is well.
    """

    MORE = 10
    """Per cent by which there must be more, once there was too little: it does not flutter."""

    __slots__ = (
        *("_folder", "_least_bytes", "_least_inodes", "_look", "_loop", "_timer"),
        *("asks", "is_short", "is_watched"),
    )

    def __init__(self, least_bytes: int | None = None, least_inodes: int | None = None) -> None:
        self.asks = self.is_short = self.is_watched = False
        self._folder = ""
        self._least_bytes = least_bytes
        self._least_inodes = least_inodes
        self._loop: asyncio.AbstractEventLoop | None = None
        self._look: asyncio.Future[Room] | None = None
        self._timer: asyncio.TimerHandle | None = None

    def start(self, folder: str, room: Room) -> None:
        """Begin to look after a folder, whose room was looked at just now."""
        self._folder = folder
        self._loop = asyncio.get_running_loop()
        self.is_short = False
        if self._least_bytes != 0 or self._least_inodes != 0:
            self._judge(room)

    def stop(self) -> None:
        """Look no more."""
        self._loop = None
        self.asks = self.is_watched = False
        for under_way in (self._timer, self._look):
            if under_way is not None:
                under_way.cancel()

    def room(self) -> Room | None:
        """Ask the system, and judge; None while no folder is looked after. It may take long.

        Raises
        ------
        OSError
            What the system said.
        """
        if self._loop is None:
            return None
        room = Room.of(self._folder)
        more = self.MORE if self.is_short else 0
        lacking = room.lacks(self._least_bytes, self._least_inodes, more=more)
        return dataclasses.replace(room, lacking=lacking)

    def check(self) -> None:
        """Look, in a thread, because an object comes; go on with what is known already.

        Raises
        ------
        Refused
            0xA700 where there is too little room.
        """
        self.watch()
        if self.is_short:
            raise Refused(Status.OUT_OF_RESOURCES, "too little room; try again later")

    def watch(self) -> None:
        """Look, unless that was done less than a second ago."""
        if self.asks and not self.is_watched and self._loop is not None:
            self.is_watched = True
            self.asks = self.is_short
            self._look = self._loop.run_in_executor(None, Room.of, self._folder)
            self._look.add_done_callback(self._looked)

    def _looked(self, look: asyncio.Future[Room]) -> None:
        if self._loop is None or look.cancelled():
            return
        if look.exception() is None:
            self._judge(look.result())
        else:  # whoever stores there hears why
            self._rest(is_short=False)

    def _judge(self, room: Room) -> None:
        more = self.MORE if self.is_short else 0
        lacking = room.lacks(self._least_bytes, self._least_inodes, more=more)
        if lacking and not self.is_short:
            what = "Too little room in %s: %s. Until there is, objects and associations are refused"
            logger.warning(what, self._folder, lacking)
        elif self.is_short and not lacking:
            again = "There is room in %s again: %d bytes are free"
            logger.info(again, self._folder, room.free_bytes)
        self._rest(is_short=bool(lacking))

    def _rest(self, *, is_short: bool) -> None:
        """Look no more for a second."""
        assert self._loop is not None
        self.asks = self.is_short = is_short
        self.is_watched = True
        self._timer = self._loop.call_later(INTERVAL, self._rested)

    def _rested(self) -> None:
        self.is_watched = False
        self.asks = True
        if self.is_short:
            self.watch()
