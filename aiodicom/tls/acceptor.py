"""An acceptor's TLS for years: its files are read again, and their ends are told in time."""

from __future__ import annotations

import asyncio
import logging
import mmap
import os
import ssl
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self

from aiodicom.errors import DicomError
from aiodicom.tls.contexts import acceptor_context
from aiodicom.tls.settings import TLS
from aiodicom.tls.validity import Validity, remark, validities
from aiodicom.tls.watching import Appearance, appearance

__all__ = ["AcceptorTLS"]

logger = logging.getLogger("aiodicom.tls")

SETTLED = 1.0
"""Seconds without a change after which files are read: a key comes before its certificate."""

MOST_CHANGES = 10
"""Times that this is waited for: a folder may have files in it that always change."""

DAY = 86_400.0
"""Seconds from one warning of the same thing to the next."""


@dataclass(frozen=True, slots=True)
class _Read:
    """What was read of the files, and what they looked like before."""

    context: ssl.SSLContext
    validities: tuple[Validity, ...]
    appearance: Appearance


class AcceptorTLS:
    """What `aiodicom.serve` takes as ``ssl``, so that keys and certificates can be replaced.

    New connections have what was read last, those that are there keep what they have. As long as a
    server runs it looks whether files have changed, and reads all of them again where one has.
    What cannot be used, such as a key whose certificate is still to come, changes nothing: it is
    logged, and tried again at the next look. A certificate that is about to expire is a warning, at
    the start and each day; what has expired is an error.

    It reads the files when it is made, and may ask for the key's password then: before a loop runs,
    or in a thread.

    Parameters
    ----------
    tls : TLS
        What is wanted. A password that is a callable is called each time.
    look_every : float or None
        Seconds from one look at the files to the next; None for no looks but `reload`.
    warn_days : float
        Days before the end of a certificate from which it is warned of.

    Raises
    ------
    TLSError
        Where a file is missing or wrong.
    ValueError
        Where a number is out of its range.
    """

    def __init__(self, tls: TLS, *, look_every: float | None = 60, warn_days: float = 30) -> None:
        if look_every is not None and not look_every > 0:
            raise ValueError(
                f"files are not looked at every {look_every} s: it must be more than 0"
            )
        if not warn_days >= 0:
            raise ValueError(f"{warn_days} days before its end nothing is warned of: 0 or more")
        self._tls = tls
        self._look_every = look_every
        self._warn_days = warn_days
        # Seen by the workers of a server as well, of which one speaks for all.
        self._reminded = memoryview(mmap.mmap(-1, 8)).cast("d")
        self._read = _read(tls)
        self._reading = asyncio.Lock()
        self._failure = ""
        self._looking: asyncio.Task[None] | None = None

    @property
    def context(self) -> ssl.SSLContext:
        """What the next connection is to use."""
        return self._read.context

    async def reload(self) -> str:
        """Read the files again; return a line about them. Where that fails, nothing changes.

        Raises
        ------
        TLSError
            Where a file is missing or wrong.
        """
        async with self._reading:
            before = self._read.validities
            self._read = await asyncio.to_thread(_read, self._tls)
            self._failure = ""
        self._remind(is_new=before != self._read.validities)
        return self._line()

    def _line(self) -> str:
        line = f"certificate {os.fspath(self._tls.certificate or '')}"
        ends = [v.ends for v in self._read.validities if v.what == line]
        return f"{line}, valid until {ends[0]:%Y-%m-%d %H:%M} UTC" if ends else line

    # While a server runs -------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        self._remind()
        self._looking = asyncio.create_task(self._look_again_and_again())
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        assert self._looking is not None
        self._looking.cancel()
        await asyncio.wait([self._looking])

    async def _look_again_and_again(self) -> None:
        while True:
            if self._look_every is not None:  # at once: a worker may start long after the reading
                await self._look()
            self._remind()
            await asyncio.sleep(self._look_every or DAY)

    async def _look(self) -> None:
        """Read the files again if they have changed since they were of use."""
        seen = await asyncio.to_thread(appearance, self._tls)
        if seen == self._read.appearance:
            self._failure = ""  # what was wrong was taken back
            return
        for _ in range(MOST_CHANGES):
            await asyncio.sleep(SETTLED)
            before, seen = seen, await asyncio.to_thread(appearance, self._tls)
            if seen == before:
                break
        try:
            logger.info("Files of TLS have changed: %s", await self.reload())
        except Exception as error:  # a password that is a callable raises whatever it likes
            is_known = isinstance(error, (DicomError, OSError))
            failure = str(error) if is_known else f"TLS: {type(error).__name__}"
            if failure != self._failure:  # once: it is tried again at each look
                logger.error("%s; what was read before stays", failure)
            self._failure = failure

    def _remind(self, *, is_new: bool = False) -> None:
        """Say what has expired or is about to, once a day, and of what is new at once."""
        now = time.time()
        if not is_new and 0 <= now - self._reminded[0] < DAY:
            return
        self._reminded[0] = now
        for validity in self._read.validities:
            said = remark(validity, datetime.now(UTC), self._warn_days)
            if said is not None:
                logger.log(*said)


def _read(tls: TLS) -> _Read:
    before = appearance(tls)  # so that a change while they are read is one that is seen later
    return _Read(acceptor_context(tls), validities(tls), before)
