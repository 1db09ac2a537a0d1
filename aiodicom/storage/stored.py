"""What is told of an object that was stored, and of a study that has ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["LONGEST_UID", "MOST_SENDERS", "MOST_SERIES", "EndedStudy", "StoredObject"]

LONGEST_UID = 128
"""Characters of a UID that are told of; more than 64 are none (PS3.5 9.1), and may be 16,000."""

MOST_SERIES, MOST_SENDERS = 1000, 100
"""Of one study that are remembered: a peer can make as many as it likes."""


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object that stands under its name, with the durability asked for.

    Parameters
    ----------
    folder : str
        The folder it is in, an absolute path.
    name : str
        Its name there.
    sop_class_uid, sop_instance_uid : str
        The command's, without padding. A peer's text: anything may stand there.
    study_instance_uid : str
        The dataset's; empty where neither the layout nor an announcer needed it.
    calling_ae_title, called_ae_title : str
        The association's, without padding. A peer's text.
    address : str
        The peer's IP address.
    association : int
        The association's number.
    series_instance_uid : str
        The dataset's; empty where no announcer needed it.
    transfer_syntax_uid : str
        What the dataset is encoded in.
    size : int
        Bytes of the dataset.
    at : float
        When it was stored, in seconds since the epoch.
    """

    folder: str
    name: str
    sop_class_uid: str
    sop_instance_uid: str
    study_instance_uid: str
    calling_ae_title: str
    called_ae_title: str
    address: str
    association: int
    series_instance_uid: str = ""
    transfer_syntax_uid: str = ""
    size: int = 0
    at: float = 0.0

    @property
    def path(self) -> str:
        """Where it is."""
        return f"{self.folder}/{self.name}"


@dataclass(frozen=True, slots=True)
class EndedStudy:
    """A study of which nothing more is expected.

    Parameters
    ----------
    study_instance_uid : str
        A peer's text: anything may stand there.
    folder : str
        The folder that its objects are in, an absolute path.
    objects : int
        How many were stored since it began.
    last : StoredObject
        The one that was stored last; after renaming its name is no longer right.
    reason : str
        Why it counts as ended. ``"quiet"``: nothing of it has come for the timeout.
        ``"overtaken"``: another one has begun. ``"stopped"``: the receiver stops. ``"crowded"``:
        there were too many studies, and this one had been quiet for longest.
    size : int
        Bytes of the datasets of those objects.
    series_instance_uids : tuple of str
        Their series, in order, as far as they were looked for; at most `MOST_SERIES`.
    senders : tuple of (str, str)
        Calling and called AE titles of those who sent them, in order; at most `MOST_SENDERS`.
    first_at : float
        When the first of them was stored, in seconds since the epoch; of the last see `last`.
    """

    study_instance_uid: str
    folder: str
    objects: int
    last: StoredObject
    reason: Literal["quiet", "overtaken", "stopped", "crowded"] = "overtaken"
    size: int = 0
    series_instance_uids: tuple[str, ...] = ()
    senders: tuple[tuple[str, str], ...] = ()
    first_at: float = 0.0
