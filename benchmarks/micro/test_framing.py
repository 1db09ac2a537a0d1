"""Framing: what has come is taken apart, and nothing is done with it."""

from __future__ import annotations

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from aiodicom.wire.buffers import Account, Pool
from aiodicom.wire.states import State
from aiodicom.wire.upper_layer import Fragment, Role, UpperLayer
from benchmarks.micro.materials import DATASETS, STORE_COMMAND, command_pdu, data_pdus
from benchmarks.micro.transports import SilentHolder, feed

pytestmark = pytest.mark.benchmark(group="framing")


class _Framing:
    """An upper layer of which every fragment is let go at once."""

    def __init__(self) -> None:
        self.upper = UpperLayer(Role.ACCEPTOR, Account(Pool(), SilentHolder(), 4 << 20), 1 << 17)
        self.upper.state = State.STA6
        self.last = 0

    def get_buffer(self, sizehint: int) -> memoryview:
        return self.upper.get_buffer()

    def buffer_updated(self, nbytes: int) -> None:
        for event in self.upper.received(nbytes):
            if isinstance(event, Fragment):
                self.last += event.is_last
                if event.block is not None:
                    event.block.release()


def _measure(benchmark: BenchmarkFixture, data: bytes) -> None:
    framing = _Framing()
    benchmark(feed, framing, data)
    assert framing.last


@pytest.mark.parametrize("size", DATASETS)
def test_store(benchmark: BenchmarkFixture, size: str) -> None:
    _measure(benchmark, command_pdu(STORE_COMMAND) + data_pdus(DATASETS[size]))


@pytest.mark.parametrize("fragment", [1, 1 << 10, 1 << 14])
def test_fragments(benchmark: BenchmarkFixture, fragment: int) -> None:
    """A dataset in small fragments: a thousand of one byte, or 530 kB in larger ones."""
    dataset = DATASETS["530 kB"]
    dataset = dataset[:1000] if fragment == 1 else dataset
    _measure(benchmark, command_pdu(STORE_COMMAND) + data_pdus(dataset, fragment))
