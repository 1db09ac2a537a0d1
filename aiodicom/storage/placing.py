"""Finds out which subfolder one object goes to, while it comes."""

from __future__ import annotations

from collections.abc import Sequence

from aiodicom.errors import Refused
from aiodicom.requests import StoreRequest
from aiodicom.storage.attributes import AttributeFinder
from aiodicom.storage.folder_tree import FolderTree
from aiodicom.storage.sorting import STUDY_INSTANCE_UID, Sorting, stamped, study_uid
from aiodicom.storage.stored import StoredObject
from aiodicom.storage.studies import Run, Studies
from aiodicom.wire.dimse import Status

__all__ = ["Placing"]


class Placing:
    """One object on the way to its subfolder.

    Parameters
    ----------
    sorting : Sorting
        How subfolders are found.
    request : StoreRequest
        Whose object it is.
    tree : FolderTree
        Where the subfolder is.
    studies : Studies or None
        Who hears of objects of studies.

    Attributes
    ----------
    study_instance_uid : str
        The dataset's, without padding; empty where it is not looked for.
    stored : StoredObject or None
        What has become of it.
    """

    def __init__(
        self,
        sorting: Sorting,
        request: StoreRequest,
        tree: FolderTree,
        studies: Studies | None,
    ) -> None:
        self.study_instance_uid = ""
        self.stored: StoredObject | None = None
        self._sorting = sorting
        self._association = request.association.number
        self._tree = tree
        self._studies = studies if sorting.is_by_study else None
        self._finder = AttributeFinder(request.transfer_syntax_uid, sorting.tags)
        self._is_found = False
        self._run: Run | None = None

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
        if not self._sorting.is_by_study:
            return
        self.study_instance_uid = study_uid(self._finder.found)
        if not self.study_instance_uid:
            comment = "no Study Instance UID to sort by"
            raise Refused(Status.CANNOT_UNDERSTAND, comment, (STUDY_INSTANCE_UID,))
        if self._studies is not None:  # now: the study may not end while a large object comes
            self._run = self._studies.enter(self.study_instance_uid, self._association)

    async def folder(self) -> str:
        """Return the subfolder's path, once the object is complete.

        Raises
        ------
        OSError
            Where a folder for this run of the study cannot be made.
        """
        name = self._sorting.folder(self._finder.found)
        if self._run is not None and self._sorting.is_by_run:
            return await self._run.folder(lambda: self._tree.make_new(stamped(name)))
        return f"{self._tree.root}/{name}"

    def close(self) -> None:
        """Say that nothing more becomes of the object."""
        if self._run is not None and self._studies is not None:
            self._studies.leave(self._run, self.stored)
            self._run = None
