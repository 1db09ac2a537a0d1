"""What a server reads again while it serves: rules, keys and certificates."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from typing import Protocol, runtime_checkable

from aiodicom.errors import DicomError
from aiodicom.failures import log_failure

__all__ = ["Reloadable", "Reloading"]

logger = logging.getLogger("aiodicom.server")


@runtime_checkable
class Reloadable(Protocol):
    """What reads its files again when it is asked to, while it is in use."""

    async def reload(self) -> str:
        """Read again; return a line that says what was read.

        Where that fails everything stays as it was.

        Raises
        ------
        DicomError, OSError
            What is wrong; the text names file, reason and remedy.
        """


class Reloading:
    """Has parts of a server read again: one after the other, and one time after the other.

    Parameters
    ----------
    parts : iterable of object
        Those that are `Reloadable` are reloaded, each of them once.
    """

    def __init__(self, parts: Iterable[object]) -> None:
        found = {id(part): part for part in parts if isinstance(part, Reloadable)}
        self._parts = tuple(found.values())
        self._one_at_a_time = asyncio.Lock()

    async def catch_up(self) -> None:
        """Reload all before anything is served.

        Raises
        ------
        Exception
            What the first one that cannot be reloaded raises. What it has is out of date: to serve
            with that could let somebody in who may not associate any more.
        """
        for part in self._parts:
            logger.info("Reloaded: %s", await part.reload())

    async def reload(self) -> bool:
        """Reload all; log what was read and what was not; tell whether nothing failed."""
        if not self._parts:
            logger.info("Reloading: there is nothing to be read again")
            return True
        async with self._one_at_a_time:
            return all([await _reload(part) for part in self._parts])


async def _reload(part: Reloadable) -> bool:
    try:
        logger.info("Reloaded: %s", await part.reload())
    except (DicomError, OSError) as error:
        logger.error("Not reloaded: %s; what was read before stays", error)
        return False
    except Exception as error:  # a bug of somebody's must not end what serves
        what = f"Not reloaded: what was read before of {type(part).__name__} stays"
        log_failure(logger, what, error)
        return False
    return True
