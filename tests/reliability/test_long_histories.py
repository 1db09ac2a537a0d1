"""The power is cut while a server is busy: both writers, batches, replacement, two servers."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from aiodicom.storage.object_file import Duplicates
from tests.reliability.sending import Load

SEED, LIMIT = 5, 8


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, bool]]:
    """One event loop is enough for what is about a disk."""
    return "asyncio", {"use_uvloop": True}


@pytest.mark.parametrize("duplicates", Duplicates)
@pytest.mark.parametrize(("sorts", "servers"), [(False, 1), (True, 2)])
async def test_whatever_was_acknowledged_is_there_and_whole(
    tmp_path: Path, duplicates: Duplicates, sorts: bool, servers: int
) -> None:
    chance = random.Random(SEED)
    load = Load(str(tmp_path), chance, duplicates, sorts=sorts, servers=servers)
    await load.run(associations=6, objects=4)
    findings = load.examine(LIMIT, SEED)
    assert findings.broken == []
    assert load.stored >= 10
    assert findings.states > 100


async def test_without_durability_objects_are_lost_or_partial(tmp_path: Path) -> None:
    load = Load(str(tmp_path), random.Random(SEED), durability="none", largest=700_000)
    await load.run(associations=4, objects=4)
    found = {finding.split(" is ")[1] for finding in load.examine(LIMIT, SEED).broken}
    assert {"lost", "not whole"} <= found
