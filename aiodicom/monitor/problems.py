"""What went wrong lately: a bounded list, in which the same again counts up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from operator import itemgetter
from typing import Any

__all__ = ["MOST_PROBLEMS", "Problems", "latest"]

MOST_PROBLEMS = 50
"""Those that are told. Who causes many different ones pushes out others of its own."""

ROOM = 2 * MOST_PROBLEMS
"""Those that are remembered, so that not each one of a flood has us look which to forget."""

_NAMES = ("kind", "who", "address", "text")
"""What makes two of them the same."""

_SHARES = (itemgetter(0, 2, 1), itemgetter(0, 2), itemgetter(0))
"""Who shares the room evenly: titles of an address, addresses of a kind, and kinds."""

_Key = tuple[str, ...]


class Problems:
    """The last problems, those that were last there last.

    Where there are too many of them each kind has its share, in it each address, and there each
    AE title: one that floods the list with others leaves what is to be seen of everybody else.

    Parameters
    ----------
    values : iterable of mapping
        What to go on from: what `values` has returned.
    """

    __slots__ = ("_known",)

    def __init__(self, values: Iterable[Mapping[str, Any]] = ()) -> None:
        self._known: dict[_Key, list[Any]] = {}
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
            if len(self._known) >= ROOM:
                self._forget()
        counted[0] += 1
        counted[2] = at
        self._known[key] = counted

    def _forget(self) -> None:
        """Forget those that are too many."""
        if len(self._known) <= MOST_PROBLEMS:
            return
        kept = _chosen(reversed(self._known))
        self._known = {key: counted for key, counted in self._known.items() if key in kept}

    def values(self) -> list[dict[str, Any]]:
        """Return them as plain values."""
        self._forget()
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
    """Return those of several processes in one list, the last one first; see `Problems`."""
    found: dict[_Key, dict[str, Any]] = {}
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
    last_first = sorted(found, key=lambda key: -found[key]["last"])
    kept = _chosen(last_first)
    return [found[key] for key in last_first if key in kept]


def _chosen(last_first: Iterable[_Key]) -> set[_Key]:
    """Choose those that are told, the last ones of each share."""
    keys = list(last_first)
    for share in _SHARES:
        seen: Counter[object] = Counter()
        turns: dict[_Key, int] = {}  # how many of its share are before it
        for key in keys:
            turns[key] = seen[share(key)]
            seen[share(key)] += 1
        keys.sort(key=turns.__getitem__)
    return set(keys[:MOST_PROBLEMS])
