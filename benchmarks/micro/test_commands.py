"""Command sets: decoded, and answered."""

from __future__ import annotations

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from aiodicom.wire.dimse import CommandSet, encode_response, encode_store_request
from benchmarks.messages import CT_IMAGE_STORAGE
from benchmarks.micro.materials import ECHO_COMMAND, INSTANCE_UID, STORE_COMMAND

pytestmark = pytest.mark.benchmark(group="commands")


@pytest.mark.parametrize("command", [STORE_COMMAND, ECHO_COMMAND], ids=lambda c: c.name)
def test_decode(benchmark: BenchmarkFixture, command: CommandSet) -> None:
    data = bytearray(command.encode())  # as the upper layer collects it
    assert benchmark(CommandSet.decode, data).field == command.field


@pytest.mark.parametrize("command", [STORE_COMMAND, ECHO_COMMAND], ids=lambda c: c.name)
def test_response(benchmark: BenchmarkFixture, command: CommandSet) -> None:
    request = CommandSet.decode(command.encode())
    response = CommandSet.decode(benchmark(encode_response, request, 0))
    assert response.field == command.field | 0x8000


def test_refusal(benchmark: BenchmarkFixture) -> None:
    assert benchmark(encode_response, STORE_COMMAND, 0xA900, "they differ", (0x00080018,))


def test_request(benchmark: BenchmarkFixture) -> None:
    assert benchmark(encode_store_request, 7, CT_IMAGE_STORAGE, INSTANCE_UID)
