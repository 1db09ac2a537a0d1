"""Objects in every transfer syntax, and what a handler makes of them."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Awaitable, Callable
from typing import Any

from pydicom import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.sequence import Sequence

from aiodicom import Status, StoreRequest
from aiodicom.wire.items import ProposedContext
from aiodicom.wire.pdu import AssociateRequest
from tests.peer import CT, PATIENCE, association_request, command_pdu, store_command

EXPLICIT, IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"
BIG, DEFLATED = "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"
PRIVATE = "2.25.99"
SYNTAXES = (EXPLICIT, IMPLICIT, BIG, DEFLATED, PRIVATE)

UID = "1.2.3"


def context_of(syntax: str) -> int:
    """The presentation context that `proposing` has for a transfer syntax."""
    return 2 * SYNTAXES.index(syntax) + 1


def proposing() -> AssociateRequest:
    """Ask for CT in every transfer syntax."""
    return association_request(ProposedContext.of(context_of(s), CT, s) for s in SYNTAXES)


def ct(**values: Any) -> Dataset:
    """A CT with a name in Latin-1, and pixels."""
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 100"
    dataset.SOPClassUID, dataset.SOPInstanceUID = CT, UID
    dataset.Modality = "CT"
    dataset.ReferencedStudySequence = Sequence([Dataset()])
    dataset.PatientName = "Müller^Jörg"
    dataset.StudyInstanceUID = "1.2.9"
    dataset.InstanceNumber = 7
    dataset.Rows, dataset.PixelRepresentation = 258, 1
    for name, value in values.items():
        setattr(dataset, name, value)
    dataset.add_new(0x7FE00010, "OW", b"\1\2" * 5000)
    return dataset


def encoded(dataset: Dataset, syntax: str = EXPLICIT) -> bytes:
    """Encode a dataset."""
    buffer = DicomBytesIO()
    buffer.is_implicit_VR, buffer.is_little_endian = syntax == IMPLICIT, syntax != BIG
    dataset = Dataset(dataset)
    dataset.set_original_encoding(buffer.is_implicit_VR, buffer.is_little_endian, "latin_1")
    write_dataset(buffer, dataset)
    data = bytes(buffer.getvalue())
    if syntax == DEFLATED:
        deflater = zlib.compressobj(wbits=-15)
        data = deflater.compress(data) + deflater.flush()
    return data


class Doing:
    """A store handler that does something with a request, and keeps what came of it.

    The rest of the dataset is discarded, so that the peer hears of success.
    """

    def __init__(self, what: Callable[[StoreRequest], Awaitable[Any]]) -> None:
        self._what = what
        self._outcomes: asyncio.Queue[Any] = asyncio.Queue()

    async def __call__(self, request: StoreRequest) -> int:
        try:
            outcome = await self._what(request)
        except Exception as error:
            self._outcomes.put_nowait(error)
            raise
        self._outcomes.put_nowait(outcome)
        request.dataset.discard()
        return Status.SUCCESS

    async def outcome(self) -> Any:
        async with asyncio.timeout(PATIENCE):
            return await self._outcomes.get()


def command(syntax: str = EXPLICIT) -> bytes:
    """The command of a C-STORE in a context of `proposing`."""
    return command_pdu(store_command(UID), context_of(syntax))
