"""Store handlers that come with the box. They know requests, and nothing of servers.

Beside `aiodicom.FileStorage`: what its files are called (`Layout`, `Names`), how they are sorted
into folders (`by_study_uid` and others), and when a study has ended (`Studies`). What is named
here is imported when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aiodicom.storage.schemes import Layout, Names
    from aiodicom.storage.sorting import (
        Sorting,
        by_patient_name,
        by_series_date,
        by_study_time,
        by_study_uid,
    )
    from aiodicom.storage.stored import EndedStudy
    from aiodicom.storage.studies import Studies

__all__ = [
    "EndedStudy",
    "Layout",
    "Names",
    "Sorting",
    "Studies",
    "by_patient_name",
    "by_series_date",
    "by_study_time",
    "by_study_uid",
]

_HOMES = {
    name: f"{__name__}.{module}"
    for module, names in {
        "schemes": "Layout Names",
        "sorting": "Sorting by_patient_name by_series_date by_study_time by_study_uid",
        "stored": "EndedStudy",
        "studies": "Studies",
    }.items()
    for name in names.split()
}

if not TYPE_CHECKING:  # a checker would believe that there is whatever anybody writes

    def __getattr__(name: str) -> object:
        home = _HOMES.get(name)
        if home is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(importlib.import_module(home), name)
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
