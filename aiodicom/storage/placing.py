"""Finds out which subfolder one object goes to, and of which study it is, while it comes."""

from __future__ import annotations

from collections.abc import Sequence

from aiodicom.errors import Refused
from aiodicom.requests import StoreRequest
from aiodicom.storage.attributes import AttributeFinder
from aiodicom.storage.folder_tree import FolderTree
from aiodicom.storage.sorting import (
    SERIES_INSTANCE_UID,
    STUDY_INSTANCE_UID,
    Sorting,
    stamped,
    study_uid,
)
from aiodicom.storage.stored import LONGEST_UID, StoredObject
from aiodicom.storage.studies import Audience, Run, Studies
from aiodicom.wire.dimse import Status, clean_uid

__all__ = ["Placing"]

_TOLD = frozenset({STUDY_INSTANCE_UID, SERIES_INSTANCE_UID})


class Placing:
    """One object on the way to its subfolder.

    Parameters
    ----------
    sorting : Sorting or None
        How subfolders are found, where there are any.
    request : StoreRequest
        Whose object it is.
    tree : FolderTree
        Where the subfolder is.
    studies : Studies or None
        Who hears of objects of studies, where they are sorted by that.
    audience : Audience or None
        Who hears of its study and series however it is sorted.

    Attributes
    ----------
    study_instance_uid, series_instance_uid : str
        The dataset's, without padding; empty where they are not looked for, or not there.
    stored : StoredObject or None
        What has become of it.
    """

    def __init__(
        self,
        sorting: Sorting | None,
        request: StoreRequest,
        tree: FolderTree,
        studies: Studies | None,
        audience: Audience | None = None,
    ) -> None:
        self.study_instance_uid = self.series_instance_uid = ""
        self.stored: StoredObject | None = None
        self._sorting = sorting
        self._association = request.association.number
        self._tree = tree
        self._is_by_study = sorting is not None and sorting.is_by_study
        self._studies = studies if self._is_by_study else None
        self._told = None if audience is None else audience.studies
        tags = frozenset[int]() if sorting is None else sorting.tags
        if audience is not None:
            tags |= _TOLD
        self._finder = AttributeFinder(request.transfer_syntax_uid, tags)
        self._is_found = False
        self._run: Run | None = None
        self._told_run: Run | None = None

    def feed(self, views: Sequence[bytes | bytearray | memoryview], is_last: bool) -> None:
        """Take the next bytes of the dataset, and whether they are the last ones.

        Raises
        ------
        Refused
            0xC000 where the object is of no study, and sorted by it.
        """
        if self._is_found:
            return
        self._finder.feed(views, is_last)
        if not self._finder.done:
            return
        self._is_found = True
        self._take(study_uid(self._finder.found))

    def _take(self, uid: str) -> None:
        if self._is_by_study and not uid:
            comment = "no Study Instance UID to sort by"
            raise Refused(Status.CANNOT_UNDERSTAND, comment, (STUDY_INSTANCE_UID,))
        self.study_instance_uid = uid[:LONGEST_UID]
        series = clean_uid(self._finder.found.get(SERIES_INSTANCE_UID, b""))
        self.series_instance_uid = series[:LONGEST_UID]
        if not uid:
            return
        # Now: the study may not end while a large object comes.
        if self._studies is not None:
            self._run = self._studies.enter(self.study_instance_uid, self._association)
        if self._told is not None:
            self._told_run = self._told.enter(self.study_instance_uid, self._association)

    async def folder(self) -> str:
        """Return the subfolder's path, once the object is complete.

        Raises
        ------
        OSError
            Where a folder for this run of the study cannot be made.
        """
        assert self._sorting is not None
        name = self._sorting.folder(self._finder.found)
        if self._run is not None and self._sorting.is_by_run:
            return await self._run.folder(lambda: self._tree.make_new(stamped(name)))
        return f"{self._tree.root}/{name}"

    def close(self) -> None:
        """Say that nothing more becomes of the object."""
        if self._run is not None and self._studies is not None:
            self._studies.leave(self._run, self.stored)
            self._run = None
        if self._told_run is not None and self._told is not None:
            self._told.leave(self._told_run, self.stored)
            self._told_run = None
