"""Many objects over one association or several."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import logging
from collections.abc import AsyncGenerator

from aiodicom.client.association import RequestorAssociation
from aiodicom.client.associations import Associations
from aiodicom.client.results import StoreResult
from aiodicom.client.sending import Sender, Work
from aiodicom.errors import AssociationClosed, DicomError
from aiodicom.objects.altered import Alterations
from aiodicom.wire.proposal import Context

__all__ = ["send_group"]

logger = logging.getLogger("aiodicom.client")


async def send_group(
    associations: Associations,
    work: Work,
    contexts: tuple[Context, ...],
    alterations: Alterations,
    executor: concurrent.futures.Executor,
    tasks: set[asyncio.Task[None]],
) -> AsyncGenerator[StoreResult, None]:
    """Send objects over one association or several, and yield their results.

    Parameters
    ----------
    associations : Associations
        Of which the present one is the first that sends.
    work : Work
        What is to be sent.
    contexts : tuple
        The presentation contexts of all of it.
    alterations : Alterations
        How objects are changed on their way.
    executor : concurrent.futures.Executor
        Whose threads read.
    tasks : set
        Where the tasks are that run for it.

    Raises
    ------
    AssociationRejected, AssociationClosed
        Where there is work left, and no association for it.
    """
    async with associations.using(contexts):
        workers = [
            asyncio.create_task(
                _work(associations, work, contexts, alterations, executor, is_first=not index)
            )
            for index in range(work.share)
        ]
        for worker in workers:
            tasks.add(worker)
            worker.add_done_callback(tasks.discard)
        everything = asyncio.gather(*workers, return_exceptions=True)
        everything.add_done_callback(lambda _: work.results.put_nowait(None))
        try:
            while (result := await work.results.get()) is not None:
                yield result
        finally:
            for worker in workers:
                worker.cancel()
            outcomes = await everything
        errors = [outcome for outcome in outcomes if isinstance(outcome, Exception)]
        for error in errors:
            if work or not isinstance(error, DicomError):
                raise error
            logger.warning("One association less: %s", error)
        if work:
            raise AssociationClosed("the requestor was left before all was sent")


async def _work(
    associations: Associations,
    work: Work,
    contexts: tuple[Context, ...],
    alterations: Alterations,
    executor: concurrent.futures.Executor,
    *,
    is_first: bool,
) -> None:
    """Send over one association, and over another one where it ends too early."""
    association = associations.present if is_first else None
    is_new = False
    try:
        while work:
            if association is None or not association.is_open:
                if association is not None:
                    await association.closed()
                association = await _open(associations, work, contexts)
                if association is None:
                    return
                is_new = True
                if is_first:
                    associations.present = association
            preparation = associations.preparation(association, alterations)
            sender = Sender(association, work, preparation, executor)
            try:
                await sender.run()
            except AssociationClosed:
                if is_new and not sender.has_begun:
                    raise  # another one would end just so
        if association is not None and not is_first:
            with contextlib.suppress(AssociationClosed):
                await association.release()
    finally:
        if association is not None and not is_first:
            association.abort()  # where it has not been released
            await association.closed()


async def _open(
    associations: Associations, work: Work, contexts: tuple[Context, ...]
) -> RequestorAssociation | None:
    """Open one association more; None where the others have done the work meanwhile."""
    opening = asyncio.ensure_future(associations.open(contexts))
    work.openings.add(opening)
    try:
        return await opening
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and not task.cancelling() and work.is_done:
            return None
        raise
    finally:
        work.openings.discard(opening)
