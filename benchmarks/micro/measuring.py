"""What pytest-benchmark can do, with types."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVarTuple

from pytest_benchmark.fixture import BenchmarkFixture

__all__ = ["measure_prepared"]

_Ts = TypeVarTuple("_Ts")


def measure_prepared(
    benchmark: BenchmarkFixture,
    function: Callable[[*_Ts], object],
    prepare: Callable[[], tuple[*_Ts]],
    rounds: int,
) -> None:
    """Measure calls whose arguments are used up: `prepare` makes them, and is not measured."""
    benchmark.pedantic(  # type: ignore[no-untyped-call]
        function, setup=lambda: (prepare(), {}), rounds=rounds, warmup_rounds=20
    )
