"""What has become of the objects that a command sends, and the exit code that says so."""

from __future__ import annotations

import logging
from collections import Counter

from aiodicom.client.results import StoreResult
from aiodicom.describe import escape, escape_path
from aiodicom.errors import AssociationClosed

__all__ = ["ASSOCIATION_FAILED", "FAILED", "Outcome"]

logger = logging.getLogger("aiodicom.storescu")

FAILED = 1
"""Nothing could be asked for, or an object cannot be sent."""

ASSOCIATION_FAILED = 10
"""The association ended before everything was answered."""


class Outcome:
    """Counts results.

    Parameters
    ----------
    total : int
        How many objects there are.

    Attributes
    ----------
    exit_code : int
        0 while everything that was tried is stored; else what the first failure makes it: the
        status without its last two digits, 10 where the association ended, 1 for the rest.
    stored : int
        How many objects the peer has stored.
    size : int
        How many bytes they have.
    """

    def __init__(self, total: int) -> None:
        self.exit_code = 0
        self.stored = 0
        self.size = 0
        self.renames: dict[str, bool] = {}
        self._total = total
        self._reasons: Counter[str] = Counter()

    def add(self, result: StoreResult) -> None:
        """Count one object; say so at once if it is not stored."""
        self.renames[result.path] = result.stored and self.renames.get(result.path, True)
        if result.stored:
            self.stored += 1
            self.size += result.size
            if result.status:
                path = escape_path(result.path)
                logger.warning("Stored with a warning, file: %s: %s", path, _said(result))
            return
        self.exit_code = self.exit_code or _code(result)
        self._reasons[_said(result)] += 1
        logger.error("Store Failed, file: %s: %s", escape_path(result.path), _said(result))

    def failed(self, reason: str, code: int) -> None:
        """Hear that nothing more can be sent."""
        self.exit_code = self.exit_code or code
        logger.critical("%s", reason)

    def conclude(self) -> None:
        """Say what was not stored, and why, where that is more than one line has said already."""
        failures = self._reasons.total()
        unsent = self._total - self.stored - failures
        if failures > 1 or (failures + unsent and self._total > 1):
            logger.error("%d of %d files are not stored", failures + unsent, self._total)
            for reason, count in self._reasons.most_common():
                logger.error("  %d: %s", count, reason)
            if unsent:
                logger.error("  %d: not sent after that", unsent)


def _said(result: StoreResult) -> str:
    return result.reason if result.status is None else escape(result.reason)


def _code(result: StoreResult) -> int:
    if result.status is not None:
        return result.status >> 8 or FAILED
    return ASSOCIATION_FAILED if isinstance(result.error, AssociationClosed) else FAILED
