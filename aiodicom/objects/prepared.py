"""An object made ready to be sent over one association. Plain code for worker threads."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from aiodicom.describe import uid_name
from aiodicom.errors import NotSent
from aiodicom.objects.header import ObjectHeader
from aiodicom.objects.source import Framer, Piece, Source
from aiodicom.wire.negotiation import PresentationContext
from aiodicom.wire.proposal import DEFLATED, Agreed

__all__ = ["Alterations", "Prepared", "Preparation"]


@dataclass(frozen=True, slots=True)
class Alterations:
    """How objects are changed on their way; by default they go byte for byte.

    Parameters
    ----------
    compression_level : int
        0 to 9, where a dataset is deflated because the peer accepts nothing else.
    without_new_vrs : bool
        Whether elements of the VRs UN and UT become OB.
    replacements : callable or None
        Returns, for each object anew, values for top-level elements by their tags; called in
        worker threads.
    """

    compression_level: int = 6
    without_new_vrs: bool = False
    replacements: Callable[[], Mapping[int, bytes]] | None = None


class Prepared:
    """One object, and its dataset as P-DATA-TF PDUs.

    Attributes
    ----------
    header : ObjectHeader
        What it is.
    context : PresentationContext
        What it is sent in.
    sop_instance_uid : str
        What it is sent as.
    first : bytes-like
        The first PDUs; for most objects there are no others.
    is_whole : bool
        Whether `first` is all.
    """

    def __init__(
        self,
        header: ObjectHeader,
        context: PresentationContext,
        sop_instance_uid: str,
        source: Source,
        room: int,
    ) -> None:
        self.header = header
        self.context = context
        self.sop_instance_uid = sop_instance_uid
        self._source = source
        if source.size % 2:
            source.close()
            raise NotSent(f"its dataset is {source.size} bytes long, not an even number")
        self._framer = Framer(context.context_id, room, source.size)
        self.first = self.read()
        self.is_whole = not self._framer.left
        if self.is_whole:
            source.close()

    @property
    def is_all_read(self) -> bool:
        """Whether nothing is left to `read`."""
        return not self._framer.left

    def read(self) -> bytearray:
        """Return the next PDUs.

        Raises
        ------
        NotSent
            Where the file cannot be read any more.
        """
        wire, slots = self._framer.frame()
        try:
            self._source.read_into(slots)
        except BaseException:
            self.close()
            raise
        if self.is_all_read:
            self.close()
        return wire

    def close(self) -> None:
        """Close its file."""
        self._source.close()


@dataclass(frozen=True, slots=True)
class Preparation:
    """How objects are made ready for one association.

    Parameters
    ----------
    agreed : Agreed
        What was agreed on.
    room : int
        Bytes of a dataset in one P-DATA-TF.
    alterations : Alterations
        How they are changed.
    """

    agreed: Agreed
    room: int
    alterations: Alterations = Alterations()

    def of(self, header: ObjectHeader, dataset: bytes | None = None) -> Prepared:
        """Make an object ready.

        Parameters
        ----------
        header : ObjectHeader
            What it is.
        dataset : bytes, optional
            Its dataset, where that is not in a file.

        Raises
        ------
        NotSent
            Where it cannot be sent over this association; says why.
        """
        context = self.context(header)
        if context.transfer_syntax != header.transfer_syntax_uid:
            raise NotSent("conversion is to come")
        source = _file_source(header) if dataset is None else Source(_padded(header, [dataset]))
        return Prepared(header, context, header.sop_instance_uid, source, self.room)

    def context(self, header: ObjectHeader) -> PresentationContext:
        """Return the context that an object is sent in.

        Raises
        ------
        NotSent
            Where nothing that the peer has accepted fits it.
        """
        context = self.agreed.context_for(header.sop_class_uid, header.transfer_syntax_uid)
        if context is None:
            raise NotSent(self._why_not(header))
        return context

    def _why_not(self, header: ObjectHeader) -> str:
        name, syntax = uid_name(header.sop_class_uid), uid_name(header.transfer_syntax_uid)
        answers = [
            c for c in self.agreed.contexts.values() if c.abstract_syntax == header.sop_class_uid
        ]
        if not answers:
            return f"{name} was not proposed"
        accepted = [uid_name(c.transfer_syntax) for c in answers if c.is_accepted]
        if accepted:
            return f"it is {syntax}, and the peer takes {name} only as {', '.join(accepted)}"
        return f"the peer accepts no {name} as {syntax}"


def _file_source(header: ObjectHeader) -> Source:
    """Open the file of an object as it is."""
    try:
        descriptor = os.open(header.path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise NotSent(f"cannot be read: {error.strerror}") from None
    return Source(_padded(header, [(header.offset, header.size)]), descriptor)


def _padded(header: ObjectHeader, pieces: list[Piece]) -> list[Piece]:
    if header.size % 2 and header.transfer_syntax_uid == DEFLATED:
        pieces.append(b"\0")  # PS3.5 A.5: what is deflated is padded
    return pieces
