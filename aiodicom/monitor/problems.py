"""What went wrong lately: a bounded list, in which the same again counts up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ["MOST_PROBLEMS", "Problems", "latest"]

MOST_PROBLEMS = 50
"""Those that are remembered. Who causes many different ones pushes older ones out."""


_NAMES = ("kind", "who", "address", "text")
"""What makes two of them the same."""


class Problems:
    """The last problems, those that were last there last.

    Parameters
    ----------
    values : iterable of mapping
        What to go on from: what `values` has returned.
    """

    __slots__ = ("_known",)

    def __init__(self, values: Iterable[Mapping[str, Any]] = ()) -> None:
        self._known: dict[tuple[str, ...], list[Any]] = {}
        for each in values:
            key = tuple(each[name] for name in _NAMES)
            self._known[key] = [each["count"], each["first"], each["last"]]

    def add(self, at: float, kind: str, who: str, address: str, text: str) -> None:
        """Take one.

        Parameters
        ----------
        at : float
            When, in seconds since the epoch.
        kind : str
            ``refused``, ``rejected``, ``ended`` or ``failed``.
        who : str
            The calling AE title, escaped and short; empty where it is not known.
        address : str
            The peer's IP address.
        text : str
            What happened, escaped and short.
        """
        key = (kind, who, address, text)
        counted = self._known.pop(key, None)
        if counted is None:
            counted = [0, at, at]
            if len(self._known) >= MOST_PROBLEMS:
                del self._known[next(iter(self._known))]
        counted[0] += 1
        counted[2] = at
        self._known[key] = counted

    def values(self) -> list[dict[str, Any]]:
        """Return them as plain values."""
        return [
            {
                **dict(zip(_NAMES, key, strict=True)),
                "count": count,
                "first": first,
                "last": last,
            }
            for key, (count, first, last) in self._known.items()
        ]


def latest(several: Iterable[Iterable[Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """Return those of several processes in one list, the last one first."""
    found: dict[tuple[str, ...], dict[str, Any]] = {}
    for values in several:
        for each in values:
            key = tuple(each[name] for name in _NAMES)
            other = found.get(key, each)
            found[key] = {
                **each,
                "count": each["count"] + (other["count"] if key in found else 0),
                "first": min(each["first"], other["first"]),
                "last": max(each["last"], other["last"]),
            }
    return sorted(found.values(), key=lambda each: -each["last"])[:MOST_PROBLEMS]
