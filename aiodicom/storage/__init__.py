"""Store handlers that come with the box. They know requests, and nothing of servers.

Beside `aiodicom.FileStorage`: what its files are called (`Layout`, `Names`), how they are sorted
into folders (`by_study_uid` and others), and when a study has ended (`Studies`). What is named
here is imported when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiodicom.first_use import imported_at_first_use

if TYPE_CHECKING:
    from aiodicom.storage.free_space import Room
    from aiodicom.storage.schemes import Layout, Names
    from aiodicom.storage.sorting import (
        Sorting,
        by_patient_name,
        by_series_date,
        by_study_time,
        by_study_uid,
    )
    from aiodicom.storage.stored import EndedStudy
    from aiodicom.storage.studies import Audience, Studies

__all__ = [
    "Audience",
    "EndedStudy",
    "Layout",
    "Names",
    "Room",
    "Sorting",
    "Studies",
    "by_patient_name",
    "by_series_date",
    "by_study_time",
    "by_study_uid",
]

if not TYPE_CHECKING:  # a checker would believe that there is whatever anybody writes
    __getattr__, __dir__ = imported_at_first_use(
        __name__,
        {
            "free_space": "Room",
            "schemes": "Layout Names",
            "sorting": "Sorting by_patient_name by_series_date by_study_time by_study_uid",
            "stored": "EndedStudy",
            "studies": "Audience Studies",
        },
    )
