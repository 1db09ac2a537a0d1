"""when(): a handler for some of the objects."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from aiodicom.errors import Refused
from aiodicom.handling.lifecycle import ComposedHandler, ask, hand_on, limits_of
from aiodicom.handling.places import Limit, Places
from aiodicom.requests import AssociationInfo, StoreHandler, StoreRequest
from aiodicom.wire.dimse import Status, Tag
from aiodicom.wire.negotiation import VERIFICATION

__all__ = ["when"]


def when(
    handler: StoreHandler,
    *,
    sop_class: str | Iterable[str] | None = None,
    calling_ae_title: str | Iterable[str] | None = None,
    called_ae_title: str | Iterable[str] | None = None,
    otherwise: StoreHandler | None = None,
) -> ComposedHandler:
    """Make a handler that is given only some of the objects.

    All conditions that are given must hold, each of them with one of its values. The request
    decides, before anything of the dataset has come.

    Parameters
    ----------
    handler : callable
        The store handler for these objects.
    sop_class : str or iterable of str, optional
        UIDs of SOP classes, or their names or keywords in PS3.6: ``"CTImageStorage"``.
    calling_ae_title, called_ae_title : str or iterable of str, optional
        AE titles, compared with case, without padding.
    otherwise : callable, optional
        The store handler for all other objects. Without one they are refused: with 0x0124, not
        authorized, where an AE title is another one, else with 0x0122, SOP class not supported
        (PS3.7 annex C). Both say that to try again is of no use, and neither that anything is
        wrong with the object, as 0xA900 and 0xC000 would.

    Returns
    -------
    ComposedHandler
        A store handler, which enters and reloads both. It asks that one about an association
        (``admit``) which may be given objects of it, going by its AE titles and what it proposes.

    Raises
    ------
    ValueError
        Where there is no condition, one without a value, or no SOP class of that name.
    """
    if sop_class is None and calling_ae_title is None and called_ae_title is None:
        raise ValueError("when what? give sop_class, calling_ae_title or called_ae_title")
    classes = _several(sop_class, "sop_class")
    return _When(
        handler,
        otherwise,
        None if classes is None else frozenset(map(_uid_of, classes)),
        _several(calling_ae_title, "calling_ae_title"),
        _several(called_ae_title, "called_ae_title"),
    )


class _When(ComposedHandler):
    def __init__(
        self,
        handler: StoreHandler,
        otherwise: StoreHandler | None,
        classes: frozenset[str] | None,
        calling: frozenset[str] | None,
        called: frozenset[str] | None,
    ) -> None:
        super().__init__((handler,) if otherwise is None else (handler, otherwise))
        self._handler = handler
        self._otherwise = otherwise
        self._classes = classes
        self._calling = calling
        self._called = called

    async def _store(self, request: StoreRequest, places: Places) -> int:
        handler = self._chosen(request)
        if handler is not None:
            return await hand_on(handler, request, places)
        if self._are_titles(request.association):
            comment, tag = "SOP class is not stored here", Tag.AFFECTED_SOP_CLASS_UID.value
            raise Refused(Status.SOP_CLASS_NOT_SUPPORTED, comment, (tag,))
        raise Refused(Status.NOT_AUTHORIZED, "not stored for these AE titles")

    def _limits(self, request: StoreRequest) -> Sequence[Limit]:
        handler = self._chosen(request)
        return () if handler is None else limits_of(handler, request)

    def _chosen(self, request: StoreRequest) -> StoreHandler | None:
        """Return whom an object is for; None where it is for none of them."""
        is_one = self._classes is None or request.sop_class_uid in self._classes
        if is_one and self._are_titles(request.association):
            return self._handler
        return self._otherwise

    def admit(self, info: AssociationInfo) -> None:
        """Ask those about an association who may be given objects of it.

        Raises
        ------
        AssociationRejected
            Where one of them says no.
        """
        is_from_them, classes = self._are_titles(info), self._classes
        proposed = {context.abstract_syntax for context in info.request.presentation_contexts}
        proposed.discard(VERIFICATION)  # no object comes with it
        if is_from_them and (classes is None or proposed & classes):
            ask(self._handler, info)
        if not is_from_them or (classes is not None and proposed - classes):
            ask(self._otherwise, info)

    def _are_titles(self, info: AssociationInfo) -> bool:
        return (self._calling is None or info.calling_ae_title in self._calling) and (
            self._called is None or info.called_ae_title in self._called
        )


def _several(values: str | Iterable[str] | None, name: str) -> frozenset[str] | None:
    if values is None:
        return None
    several = frozenset(v.strip(" ") for v in ((values,) if isinstance(values, str) else values))
    if not several:
        raise ValueError(f"{name} has no value: nothing would ever be one of them")
    return several


def _uid_of(sop_class: str) -> str:
    """Return the UID of a SOP class that is given by UID, name or keyword."""
    if re.fullmatch(r"[0-9.]+", sop_class):
        return sop_class
    from pydicom.uid import UID_dictionary  # type: ignore[attr-defined]

    for uid, (name, kind, _, _, keyword) in UID_dictionary.items():
        if sop_class in (name, keyword) and kind == "SOP Class":
            return uid
    raise ValueError(f"{sop_class!r} is no SOP class (PS3.6 annex A): give its UID or keyword")
