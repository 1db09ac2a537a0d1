"""What has become of an object."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from aiodicom.describe import escape_path
from aiodicom.errors import DicomError, NotSent
from aiodicom.objects.header import ObjectHeader
from aiodicom.wire.dimse import CommandSet, Status, Tag

__all__ = ["StoreResult", "failed", "result_of"]

logger = logging.getLogger("aiodicom.client")

_MEANINGS = {status.value: f" - {status.name.replace('_', ' ').capitalize()}" for status in Status}

_STATUS = Tag.STATUS.value
_ERROR_COMMENT = Tag.ERROR_COMMENT.value


@dataclass(frozen=True, slots=True)
class StoreResult:
    """What became of one object.

    Attributes
    ----------
    path : str
        Its file; empty where it came from elsewhere.
    sop_class_uid : str
        The SOP class that it was sent as; empty where its file did not tell.
    sop_instance_uid : str
        The UID that it was sent under; empty where its file did not tell.
    status : int or None
        Status (0000,0900) of the response; None where there was none.
    comment : str
        Error Comment (0000,0902) of the response.
    error : DicomError or None
        Why there was no response: `NotSent`, or how the association ended.
    size : int
        Bytes of the dataset.
    """

    path: str
    sop_class_uid: str = ""
    sop_instance_uid: str = ""
    status: int | None = None
    comment: str = ""
    error: DicomError | None = None
    size: int = 0

    @property
    def stored(self) -> bool:
        """Whether the peer says that it has stored the object: success, or a warning."""
        return self.status is not None and Status.is_success(self.status)

    @property
    def reason(self) -> str:
        """What became of it, in a few words."""
        if self.status is None:
            return str(self.error)
        comment = f": {self.comment}" if self.comment else ""
        return f"0x{self.status:04X}{comment}"


def result_of(
    header: ObjectHeader,
    sop_instance_uid: str,
    response: CommandSet,
    *,
    is_one_of_several: bool = False,
) -> StoreResult:
    """Return what a response says; the log names the file where others are on their way."""
    status = response.number(_STATUS)
    if logger.isEnabledFor(logging.INFO):
        said = "none" if status is None else f"0x{status:04X}{_MEANINGS.get(status, '')}"
        file = f", file: {escape_path(header.path)}" if is_one_of_several else ""
        logger.info("Received Store Response (Status: %s)%s", said, file)
    return StoreResult(
        header.path,
        header.sop_class_uid,
        sop_instance_uid,
        status,
        response.text(_ERROR_COMMENT) if status else "",
        NotSent("a response without a status") if status is None else None,
        header.size,
    )


def failed(header: ObjectHeader, error: DicomError) -> StoreResult:
    """Return the result of an object that was not answered."""
    return StoreResult(
        header.path,
        header.sop_class_uid,
        header.sop_instance_uid,
        error=error,
        size=header.size,
    )
