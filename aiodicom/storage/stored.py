"""What is told of an object that was stored, and of a study that has ended."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["EndedStudy", "StoredObject"]


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
        The dataset's; empty where the layout did not need it.
    calling_ae_title, called_ae_title : str
        The association's, without padding. A peer's text.
    address : str
        The peer's IP address.
    association : int
        The association's number.
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
    """

    study_instance_uid: str
    folder: str
    objects: int
    last: StoredObject
