"""Which presentation contexts a command that sends proposes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from aiodicom.cli.common import Failed
from aiodicom.wire.negotiation import UNCOMPRESSED
from aiodicom.wire.proposal import MAXIMUM_CONTEXTS, Context, contexts_for

__all__ = ["USUAL_CLASSES", "propose"]

_ROOT = "1.2.840.10008.5.1."

USUAL_CLASSES = tuple(
    _ROOT + tail
    for tail in """
1.27 1.29 1.30 4.1.1.1 4.1.1.1.1 4.1.1.1.1.1 4.1.1.1.2 4.1.1.1.2.1 4.1.1.1.3 4.1.1.1.3.1 4.1.1.2
4.1.1.3 4.1.1.3.1 4.1.1.4 4.1.1.5 4.1.1.6 4.1.1.6.1 4.1.1.7 4.1.1.7.1 4.1.1.7.2 4.1.1.7.3 4.1.1.7.4
4.1.1.8 4.1.1.9 4.1.1.9.1.1 4.1.1.9.1.2 4.1.1.9.1.3 4.1.1.9.2.1 4.1.1.9.3.1 4.1.1.9.4.1 4.1.1.10
4.1.1.11 4.1.1.11.1 4.1.1.12.1 4.1.1.12.2 4.1.1.12.3 4.1.1.20 4.1.1.77.1 4.1.1.77.1.1 4.1.1.77.1.2
4.1.1.77.1.3 4.1.1.77.1.4 4.1.1.77.2 4.1.1.88.11 4.1.1.88.22 4.1.1.88.33 4.1.1.88.50 4.1.1.88.59
4.1.1.128 4.1.1.129 4.1.1.481.1 4.1.1.481.2 4.1.1.481.3 4.1.1.481.4 4.1.1.481.5 4.1.1.481.6
4.1.1.481.7 4.1.1.9.1 4.1.1.88.1 4.1.1.88.2 4.1.1.88.3 4.1.1.88.4
""".split()
)
"""What is proposed when nothing else is said: what the ancestor of this command always proposed."""

Lists = tuple[tuple[str, ...], ...]
"""Transfer syntaxes; each tuple of them makes one presentation context."""


def propose(
    kinds: Iterable[tuple[str, str]],
    lists: Lists | None,
    *,
    required: bool = False,
    combine: bool = False,
) -> tuple[Context, ...] | None:
    """Return what is proposed.

    Parameters
    ----------
    kinds : iterable of (str, str)
        SOP classes and transfer syntaxes of the files.
    lists : tuple of tuple of str, or None
        The transfer syntaxes that were asked for. None: those that the files have, and the
        uncompressed ones.
    required : bool
        Whether SOP classes that no file has are left out.
    combine : bool
        Whether the lists of one SOP class make one context.

    Returns
    -------
    tuple or None
        At most 128 contexts; None where the files alone need more, over several associations.

    Raises
    ------
    Failed
        Where more than 128 were asked for.
    """
    kinds = list(dict.fromkeys(kinds))
    needed: list[Context] = []
    if lists is None:
        for group in contexts_for(kinds):
            needed += _combined(group) if combine else group
        if len(needed) > MAXIMUM_CONTEXTS:
            return None
    else:
        needed = [c for abstract, _ in kinds for c in _of_class(abstract, lists, combine)]
        needed = list(dict.fromkeys(needed))
        if len(needed) > MAXIMUM_CONTEXTS:
            raise Failed(
                f"{len(needed)} presentation contexts are needed, and an association has 128: use "
                f"{'' if combine else '--combine, or '}no --propose option, which takes several "
                "associations"
            )
    if required:
        return tuple(needed)
    usual = lists or ((UNCOMPRESSED[0],), UNCOMPRESSED[1:])
    present = {abstract for abstract, _ in needed}
    for abstract in USUAL_CLASSES:
        more = list(_of_class(abstract, usual, combine))
        if abstract not in present and len(needed) + len(more) <= MAXIMUM_CONTEXTS:
            needed += more
    return tuple(needed)


def _of_class(abstract: str, lists: Lists, combine: bool) -> Iterator[Context]:
    contexts = tuple((abstract, transfer) for transfer in lists)
    yield from _combined(contexts) if combine else contexts


def _combined(contexts: tuple[Context, ...]) -> tuple[Context]:
    """Make one context of several of one SOP class."""
    every = dict.fromkeys(uid for _, transfer in contexts for uid in transfer)
    return ((contexts[0][0], tuple(every)),)
