"""Attributes of a dataset that are wanted before it is stored, found while its bytes go by."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from aiodicom.errors import Refused
from aiodicom.wire.elements import ElementWalker, encoding_of

__all__ = ["AttributeFinder"]

MAXIMUM_ELEMENTS = 50_000
"""Elements, nested ones too, that are passed on the way: some hundredths of a second."""


class AttributeFinder:
    """Looks for top-level attributes while a dataset arrives.

    What cannot be read is not there: the bytes are the sender's, and they are stored as they are.

    Parameters
    ----------
    transfer_syntax_uid : str
        How the dataset is written; in a private transfer syntax nothing is found.
    tags : collection of int
        What is looked for.

    Attributes
    ----------
    found : dict of int to bytes
        The values, as encoded.
    done : bool
        Whether all that there is has been found.
    """

    def __init__(self, transfer_syntax_uid: str, tags: Collection[int]) -> None:
        encoding = encoding_of(transfer_syntax_uid)
        self.found: dict[int, bytes] = {}
        self.done = encoding is None
        if encoding is not None:
            # What is wanted may stand behind sequences of thousands of items.
            self._walker = ElementWalker(encoding, tags, MAXIMUM_ELEMENTS)
            self.found = self._walker.found

    def feed(self, views: Sequence[bytes | bytearray | memoryview], is_last: bool) -> None:
        """Take the next bytes of the dataset, and whether they are the last ones."""
        try:
            for view in views:
                if self.done:
                    return
                self.done = self._walker.feed(view)
        except Refused:
            self.done = True
        self.done = self.done or is_last
