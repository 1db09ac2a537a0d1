"""What a writer thread does with a batch, in memory: files, names, folders."""

from __future__ import annotations

import itertools
import os
import tempfile
from collections.abc import Iterator

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from aiodicom.storage.commit import Durability, Job, perform
from aiodicom.storage.folder_tree import FolderTree
from aiodicom.storage.object_file import Duplicates, ObjectFile
from aiodicom.wire.negotiation import EXPLICIT_LITTLE
from aiodicom.wire.part10 import encode_file_meta
from benchmarks.messages import CT_IMAGE_STORAGE
from benchmarks.micro.materials import DATASETS, INSTANCE_UID
from benchmarks.micro.measuring import measure_prepared

pytestmark = pytest.mark.benchmark(group="storage")

SHARED_MEMORY = "/dev/shm"

HEAD = encode_file_meta(CT_IMAGE_STORAGE, INSTANCE_UID, EXPLICIT_LITTLE, "MODALITY")


@pytest.fixture
def folder() -> Iterator[str]:
    parent = SHARED_MEMORY if os.path.isdir(SHARED_MEMORY) else None
    with tempfile.TemporaryDirectory(prefix="aiodicom-", dir=parent) as folder:
        yield folder


def _jobs(tree: FolderTree, dataset: bytes, numbers: range) -> list[Job]:
    return [
        Job(
            ObjectFile(tree, f"CT.{number}", f".{number}.part", Duplicates.REPLACE),
            [HEAD, dataset],
            is_last=True,
        )
        for number in numbers
    ]


@pytest.mark.parametrize("durability", list(Durability), ids=lambda d: d.value)
@pytest.mark.parametrize("count", [1, 16])
def test_batch(
    benchmark: BenchmarkFixture, folder: str, count: int, durability: Durability
) -> None:
    tree, batches = FolderTree(folder), itertools.count()
    done: list[Job] = []

    def fresh() -> tuple[list[Job], Durability]:
        for job in done:
            os.unlink(f"{folder}/{job.file.name}")
        first = next(batches) * count
        done[:] = _jobs(tree, DATASETS["6 kB"], range(first, first + count))
        return done, durability

    measure_prepared(benchmark, perform, fresh, rounds=2000 // count)
    assert len(os.listdir(folder)) == count
    assert not any(job.error for job in done)
