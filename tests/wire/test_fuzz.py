"""A few of the fuzzed inputs; `make fuzz` runs a million."""

from __future__ import annotations

import pytest

from aiodicom.wire.upper_layer import UpperLayer
from tests.wire import fuzz
from tests.wire.fuzz import TARGETS, Failure, Target, fuzz_one, small_buffers

INPUTS = 1000


@pytest.mark.parametrize("batch", range(6))
def test_any_bytes_raise_what_they_may_or_nothing(batch: int) -> None:
    raised = fuzz.fuzz(1, range(batch * INPUTS, (batch + 1) * INPUTS))
    assert raised.total() == INPUTS
    assert raised["ProtocolError"] > INPUTS // 5
    assert raised["nothing"] > INPUTS // 5


def test_every_target_is_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    reached: set[Target] = set()

    def spy(target: Target) -> Target:
        return lambda rng, pool: reached.add(target)

    monkeypatch.setattr(fuzz, "_FUNCTIONS", [spy(target) for target, _ in TARGETS])
    fuzz.fuzz(1, range(500))
    assert reached == {target for target, _ in TARGETS}


def test_an_input_is_made_again_from_its_seed_and_number() -> None:
    with small_buffers() as pool:
        first = [fuzz_one(7, number, pool) for number in range(100)]
        assert [fuzz_one(7, number, pool) for number in range(100)] == first


def test_another_exception_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def received(upper: UpperLayer, count: int) -> None:
        raise KeyError("a bug")

    monkeypatch.setattr(UpperLayer, "received", received)
    with pytest.raises(Failure, match=r"seed 1, input \d+ (.|\n)*a bug"):
        fuzz.fuzz(1, range(100))
