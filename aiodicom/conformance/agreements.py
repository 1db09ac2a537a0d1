"""What an acceptor's policy agrees to, found by asking it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from aiodicom.conformance.names import STORAGE_CLASSES, TRANSFER_SYNTAXES
from aiodicom.wire.negotiation import UNCOMPRESSED, VERIFICATION, Policy

__all__ = ["Agreements", "agreements_of"]

_UNHEARD_OF = "1.2.840.10008.5.1.4.1.1.999999"
"""What a storage SOP class of a later edition of the standard could be called."""


@dataclass(frozen=True, slots=True)
class Agreements:
    """What is agreed to.

    Parameters
    ----------
    verification : tuple of str
        Transfer syntaxes in which Verification is accepted; empty where it is not.
    storage : tuple of (str, tuple of str)
        SOP classes that are accepted besides that, each with its transfer syntaxes, preferred ones
        first.
    takes_others : bool
        Whether storage SOP classes that are not among them are accepted too.
    requestor_chooses : bool
        Whether the requestor's order counts, where it proposes something compressed first.
    """

    verification: tuple[str, ...]
    storage: tuple[tuple[str, tuple[str, ...]], ...]
    takes_others: bool
    requestor_chooses: bool

    @property
    def lists(self) -> tuple[tuple[str, ...], ...]:
        """The lists of transfer syntaxes that there are; in most cases it is one for all."""
        found = dict.fromkeys(syntaxes for _, syntaxes in self.storage)
        if self.verification:
            found[self.verification] = None
        return tuple(found)


def agreements_of(policy: Policy, further: Iterable[str] = ()) -> Agreements:
    """Ask a policy what it agrees to.

    Parameters
    ----------
    policy : Policy
        Whose answers are wanted.
    further : iterable of str
        SOP classes to ask for, besides those that are known.
    """
    classes = dict.fromkeys((*STORAGE_CLASSES, *further))
    classes.pop(VERIFICATION, None)
    supported = [uid for uid in classes if policy.supports(uid)]
    verifies = policy.supports(VERIFICATION)
    some = next(iter(supported), VERIFICATION)
    return Agreements(
        _syntaxes(policy, VERIFICATION) if verifies else (),
        tuple((uid, _syntaxes(policy, uid)) for uid in supported),
        policy.supports(_UNHEARD_OF),
        _asks_the_requestor(policy, some) if supported or verifies else False,
    )


def _syntaxes(policy: Policy, abstract_syntax: str) -> tuple[str, ...]:
    left = [u for u in TRANSFER_SYNTAXES if policy.choose(abstract_syntax, (u,)) == u]
    ordered: list[str] = []
    while left:
        ordered.append(policy.choose(abstract_syntax, left))
        left.remove(ordered[-1])
    return tuple(ordered)


def _asks_the_requestor(policy: Policy, abstract_syntax: str) -> bool:
    compressed = [u for u in _syntaxes(policy, abstract_syntax) if u not in UNCOMPRESSED]
    both: Sequence[str] = compressed[:2]
    if len(both) < 2:
        return False
    return policy.choose(abstract_syntax, both) != policy.choose(abstract_syntax, both[::-1])
