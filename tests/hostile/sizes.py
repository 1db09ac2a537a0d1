"""How many bytes of memory values take, with all that they refer to."""

from __future__ import annotations

import enum
import sys


def size_of(value: object, seen: set[int] | None = None) -> int:
    """Return the bytes of a value and of what it refers to, each counted once."""
    seen = set() if seen is None else seen
    if id(value) in seen or isinstance(value, (type, enum.Enum)):
        return 0
    seen.add(id(value))
    size = sys.getsizeof(value)
    if isinstance(value, dict):
        size += sum(size_of(k, seen) + size_of(v, seen) for k, v in value.items())
    elif isinstance(value, (list, tuple, set, frozenset)):
        size += sum(size_of(each, seen) for each in value)
    for cls in type(value).__mro__:
        slots = getattr(cls, "__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if hasattr(value, name):
                size += size_of(getattr(value, name), seen)
    return size
