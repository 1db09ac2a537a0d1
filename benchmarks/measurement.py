"""What one receiver did in one round of one cell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

__all__ = ["Measurement"]


@dataclass(frozen=True, slots=True)
class Measurement:
    """What one receiver did in one round of one cell; 0 is what was not measured.

    Attributes
    ----------
    objects : int
        How many were acknowledged.
    objects_per_second, megabytes_per_second : float
        Of acknowledged objects, or C-ECHOs; a megabyte is 1,000,000 bytes of dataset. Of a mixed
        cell the small ones.
    p50_ms, p99_ms : float
        From an object's first byte to its answer; where each object has its own association, from
        its connection to its end.
    processor_us : float
        User and system time of the receiver for each object, children included.
    generator_us : float
        That of the load generator.
    idle_mb, peak_mb : float
        The receiver's resident size before anything is sent, and the largest one; with children,
        the sum of theirs.
    large_megabytes_per_second : float
        Of the large objects of a mixed cell.
    alone_per_second : float
        What the same receiver did just before and after without the idle associations.
    idle_kb : float
        What an idle association costs it, in kB.
    idle_share : float
        What part of a core it takes while there are nothing but idle associations.
    error : str
        Why nothing of this counts, or an empty string.
    """

    objects: int = 0
    objects_per_second: float = 0.0
    megabytes_per_second: float = 0.0
    p50_ms: float = 0.0
    p99_ms: float = 0.0
    processor_us: float = 0.0
    generator_us: float = 0.0
    idle_mb: float = 0.0
    peak_mb: float = 0.0
    large_megabytes_per_second: float = 0.0
    alone_per_second: float = 0.0
    idle_kb: float = 0.0
    idle_share: float = 0.0
    error: str = ""

    @property
    def over_idle_mb(self) -> float:
        """How far the peak is above the idle receiver."""
        return self.peak_mb - self.idle_mb

    @property
    def beside_idle(self) -> float:
        """The speed beside idle associations, as a part of that alone."""
        return self.objects_per_second / self.alone_per_second if self.alone_per_second else 0.0

    def as_json(self) -> dict[str, object]:
        """Return what was measured, to five figures."""
        return {
            name: float(f"{value:.5g}") if isinstance(value, float) else value
            for name, value in asdict(self).items()
            if value
        }

    @classmethod
    def from_json(cls, data: Mapping[str, object]) -> Measurement:
        """Return what `as_json` has described."""
        return cls(**data)  # type: ignore[arg-type]
