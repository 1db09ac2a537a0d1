"""An object made ready to be sent over one association. Plain code for worker threads."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from aiodicom.describe import uid_name
from aiodicom.errors import NotSent
from aiodicom.objects.altered import SOP_INSTANCE_UID, Alterations, altered, open_file
from aiodicom.objects.header import ObjectHeader
from aiodicom.objects.source import Framer, Piece, Source
from aiodicom.wire.negotiation import PresentationContext
from aiodicom.wire.proposal import DEFLATED, Agreed

__all__ = ["Prepared", "Preparation"]


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

    def payload(self, wire: bytes | bytearray) -> int:
        """Return how many bytes of the dataset are in PDUs that `read` has returned."""
        return self._framer.payload(len(wire))

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
    alterations: Alterations

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
        changes = self.alterations.replacements
        replaced = changes() if changes is not None else {}
        uid = replaced.get(SOP_INSTANCE_UID, b"").decode("ascii") or header.sop_instance_uid
        to_uid = context.transfer_syntax
        is_converted = to_uid != header.transfer_syntax_uid or self.alterations.without_new_vrs
        if is_converted or replaced:
            source = altered(header, dataset, to_uid, self.alterations, replaced)
        else:
            source = _as_it_is(header, dataset)
        return Prepared(header, context, uid, source, self.room)

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
        proposed = [
            context
            for context in self.agreed.request.presentation_contexts
            if context.abstract_syntax == header.sop_class_uid
        ]
        if not proposed:
            return f"{name} was not proposed"
        offered = dict.fromkeys(uid for each in proposed for uid in each.transfer_syntaxes)
        is_offered = header.transfer_syntax_uid in offered
        answers = (self.agreed.contexts[each.context_id] for each in proposed)
        accepted = [answer.transfer_syntax for answer in answers if answer.is_accepted]
        if not accepted:
            return f"the peer accepts no {name} as {syntax if is_offered else _listed(offered)}"
        if not is_offered:
            return f"it is {syntax}, which was not proposed for {name}"
        return f"it is {syntax}, and the peer takes {name} only as {_listed(accepted)}"


def _listed(uids: Iterable[str]) -> str:
    return ", ".join(map(uid_name, uids))


def _as_it_is(header: ObjectHeader, dataset: bytes | None) -> Source:
    if dataset is None:
        descriptor = open_file(header)
        pieces: list[Piece] = [(header.offset, header.size)]
    else:
        descriptor, pieces = -1, [dataset]
    if header.size % 2 and header.transfer_syntax_uid == DEFLATED:
        pieces.append(b"\0")  # PS3.5 A.5: what is deflated is padded
    return Source(pieces, descriptor)
