"""An association is asked for and accepted: decoded, negotiated, encoded."""

from __future__ import annotations

import itertools

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from aiodicom.wire.items import ProposedContext
from aiodicom.wire.negotiation import make_policy, negotiate
from aiodicom.wire.pdu import AssociateRequest, decode_pdu, encode_pdu
from benchmarks.micro.materials import MANY_CONTEXTS, ONE_CONTEXT, proposal
from benchmarks.micro.measuring import measure_prepared

pytestmark = pytest.mark.benchmark(group="negotiation")

CONTEXTS = pytest.mark.parametrize(
    "contexts", [ONE_CONTEXT, MANY_CONTEXTS], ids=["1 context", "128 contexts"]
)
POLICY = make_policy()


def _request(data: bytes) -> AssociateRequest:
    request = decode_pdu(data)
    assert isinstance(request, AssociateRequest)
    return request


@CONTEXTS
def test_association(benchmark: BenchmarkFixture, contexts: tuple[ProposedContext, ...]) -> None:
    """All three, again and again for the proposal of one sender."""
    data = proposal(contexts)
    benchmark(lambda: encode_pdu(negotiate(_request(data), POLICY).accept))


@CONTEXTS
def test_first_association(
    benchmark: BenchmarkFixture, contexts: tuple[ProposedContext, ...]
) -> None:
    """All three, for a proposal that nobody has made before."""
    data = proposal(contexts, "0123456789")
    at = data.index(b"0123456789")
    numbers = itertools.count()

    def other() -> tuple[bytes]:
        return (data[:at] + b"%010d" % next(numbers) + data[at + 10 :],)

    def agree(data: bytes) -> bytes:
        return encode_pdu(negotiate(_request(data), POLICY).accept)

    measure_prepared(benchmark, agree, other, rounds=500)


@CONTEXTS
def test_decode(benchmark: BenchmarkFixture, contexts: tuple[ProposedContext, ...]) -> None:
    assert benchmark(_request, proposal(contexts)).presentation_contexts == contexts


@CONTEXTS
def test_negotiate(benchmark: BenchmarkFixture, contexts: tuple[ProposedContext, ...]) -> None:
    agreement = benchmark(negotiate, _request(proposal(contexts)), POLICY)
    assert all(context.is_accepted for context in agreement.contexts.values())


@CONTEXTS
def test_encode(benchmark: BenchmarkFixture, contexts: tuple[ProposedContext, ...]) -> None:
    accept = negotiate(_request(proposal(contexts)), POLICY).accept
    assert benchmark(encode_pdu, accept)
