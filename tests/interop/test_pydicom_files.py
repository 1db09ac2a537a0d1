"""Every object among pydicom's test files is stored byte for byte, and pydicom reads it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

import aiodicom
from aiodicom import FileStorage, Status
from aiodicom.wire.items import ProposedContext
from tests.interop.samples import ROOT, SAMPLES, Sample, read
from tests.peer import (
    CT_CONTEXT,
    Peer,
    association_request,
    command_pdu,
    dataset_pdus,
    store_command,
)
from tests.processes import dataset_of


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, bool]]:
    """One event loop is enough for what is about bytes."""
    return "asyncio", {"use_uvloop": True}


def test_there_are_samples_of_many_kinds() -> None:
    assert len(SAMPLES) >= 175
    kinds = Counter(one.transfer_syntax_uid for one in SAMPLES)
    assert len(kinds) >= 12
    assert any(len(one.data) % 2 for one in SAMPLES)


@pytest.mark.parametrize("one", SAMPLES, ids=lambda one: str(one.path.relative_to(ROOT)))
async def test_file_of_pydicoms(one: Sample, tmp_path: Path) -> None:
    data = one.data
    context = ProposedContext.of(CT_CONTEXT, one.sop_class_uid, one.transfer_syntax_uid)
    async with (
        aiodicom.serve(port=0, store=FileStorage(tmp_path, durability="none")) as server,
        Peer(server.port) as peer,
    ):
        await peer.associate(association_request((context,)))
        command = store_command(one.sop_instance_uid, sop_class_uid=one.sop_class_uid)
        await peer.send(command_pdu(command) + dataset_pdus(data))
        assert await peer.status() == Status.SUCCESS
    path = tmp_path / one.stored_as
    assert dataset_of(path) == data
    stored = read(path)
    assert stored.file_meta.TransferSyntaxUID == one.transfer_syntax_uid
    assert stored.SOPInstanceUID == one.sop_instance_uid
    assert list(stored.keys()) == list(read(one.path).keys())
