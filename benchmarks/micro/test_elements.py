"""The beginning of a dataset: is it one, and which instance; and the head of its file."""

from __future__ import annotations

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from aiodicom.wire.dimse import clean_uid
from aiodicom.wire.elements import ElementWalker, Encoding, encoding_of
from aiodicom.wire.negotiation import EXPLICIT_LITTLE, IMPLICIT_LITTLE
from aiodicom.wire.part10 import encode_file_meta
from benchmarks.messages import CT_IMAGE_STORAGE
from benchmarks.micro.materials import DATASETS, INSTANCE_UID, implicit

pytestmark = pytest.mark.benchmark(group="dataset")

CT = DATASETS["6 kB"]
CLASS, INSTANCE, STUDY = 0x00080016, 0x00080018, 0x0020000D
SYNTAXES = pytest.mark.parametrize(
    ("syntax", "dataset"),
    [(EXPLICIT_LITTLE, CT), (IMPLICIT_LITTLE, implicit(CT))],
    ids=["explicit", "implicit"],
)


def _walk(encoding: Encoding, dataset: memoryview, wanted: tuple[int, ...]) -> dict[int, bytes]:
    walker = ElementWalker(encoding, wanted)
    walker.feed(dataset)
    return walker.found


@SYNTAXES
def test_instance(benchmark: BenchmarkFixture, syntax: str, dataset: bytes) -> None:
    """What every stored object is checked for."""
    encoding = encoding_of(syntax)
    assert encoding is not None
    found = benchmark(_walk, encoding, memoryview(dataset), (CLASS, INSTANCE))
    assert clean_uid(found[INSTANCE]) == INSTANCE_UID


@SYNTAXES
def test_study(benchmark: BenchmarkFixture, syntax: str, dataset: bytes) -> None:
    """What objects are sorted by: further on."""
    encoding = encoding_of(syntax)
    assert encoding is not None
    found = benchmark(_walk, encoding, memoryview(dataset), (STUDY,))
    assert found[STUDY]


def test_file_meta(benchmark: BenchmarkFixture) -> None:
    args = CT_IMAGE_STORAGE, INSTANCE_UID, EXPLICIT_LITTLE, "MODALITY"
    assert benchmark(encode_file_meta, *args)
