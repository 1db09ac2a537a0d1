"""What others' code has raised: logged without what it says, which may tell of patients."""

from __future__ import annotations

import asyncio
import logging
import os
import traceback

from aiodicom.describe import escape_path
from aiodicom.seldom import Seldom

__all__ = ["cancels_us", "log_failure"]

MOST_FRAMES = 6
"""Calls that are named, the last ones: those of whoever raised it."""


def cancels_us(error: BaseException) -> bool:
    """Tell whether our task is cancelled, and not something that others' code waited for."""
    task = asyncio.current_task()
    return isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling() > 0


def log_failure(
    logger: logging.Logger, what: str, error: BaseException, seldom: Seldom | None = None
) -> None:
    """Log an exception: at level ERROR its kind and its place, at DEBUG all of it.

    A message can hold a value of the dataset, or a path with a patient's name in it.

    Parameters
    ----------
    logger : logging.Logger
        Where to.
    what : str
        What has failed.
    error : BaseException
        What was raised.
    seldom : Seldom, optional
        Where peers can cause it as often as they like: what fails alike is logged once a minute.
    """
    line = f"{what}: {_kind(error)}"
    if seldom is None:
        logger.error("%s", line)
    else:
        seldom.log(logger, logging.ERROR, line, "%s", line)
    if logger.isEnabledFor(logging.DEBUG):
        for line in "".join(traceback.format_exception(error)).splitlines():
            logger.debug("%s", escape_path(line))  # not as exc_info: it may quote the peer


def _kind(error: BaseException) -> str:
    """Return an exception's kind, what the system says of its number, and its place."""
    said = type(error).__name__
    if isinstance(error, OSError) and error.errno is not None and error.errno > 0:
        said += f", {os.strerror(error.errno)}"
    frames = traceback.extract_tb(error.__traceback__)[-MOST_FRAMES:]
    calls = [f"{os.path.basename(f.filename)}:{f.lineno} {f.name}" for f in frames]
    if calls:
        said += f" ({' > '.join(calls)})"
    if isinstance(error, BaseExceptionGroup):
        said += f": {'; '.join(_kind(part) for part in error.exceptions[:3])}"
    elif error.__cause__ is not None:
        said += f", from {type(error.__cause__).__name__}"
    return said
