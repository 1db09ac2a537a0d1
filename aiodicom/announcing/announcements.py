"""What is announced, as values: an object that is durable, a study that has been quiet."""

from __future__ import annotations

from dataclasses import dataclass

from aiodicom.storage.stored import EndedStudy, StoredObject

__all__ = ["Announcement", "ObjectStored", "StudyQuiet"]


@dataclass(frozen=True, slots=True)
class ObjectStored:
    """An object stands under its name, with the durability asked for.

    Parameters
    ----------
    id : str
        Its own, with its `source`: the same for every sink, and whenever it is sent again.
    source : str
        Who announces it, a URI reference.
    at : float
        When it was stored, in seconds since the epoch.
    stored : StoredObject
        The object.
    """

    id: str
    source: str
    at: float
    stored: StoredObject


@dataclass(frozen=True, slots=True)
class StudyQuiet:
    """No object of a study has come for a while, and none is coming; or nothing more will be seen.

    Parameters
    ----------
    id : str
        Its own, with its `source`: the same for every sink, and whenever it is sent again.
    source : str
        Who announces it, a URI reference.
    at : float
        When that was found, in seconds since the epoch.
    study : EndedStudy
        What came of the study since it was announced last; its ``reason`` is ``"quiet"``,
        ``"stopped"`` or ``"crowded"``.
    """

    id: str
    source: str
    at: float
    study: EndedStudy


Announcement = ObjectStored | StudyQuiet
"""What a sink is given."""
