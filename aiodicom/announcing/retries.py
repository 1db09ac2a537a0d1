"""When what could not be announced is tried again, and when no more."""

from __future__ import annotations

import random
from dataclasses import dataclass

__all__ = ["Retries", "TryAgain", "Undeliverable"]

LONGEST_REST = 3600.0
"""Seconds that a sink may ask for, at most."""


class TryAgain(Exception):
    """A sink cannot take an announcement now, and may later.

    Parameters
    ----------
    why : str
        What is logged: without secrets, and without anything of a patient's.
    after : float, optional
        Seconds for which nothing is to be tried, this announcement or another one.
    """

    def __init__(self, why: str = "it asks to be tried again", after: float = 0) -> None:
        super().__init__(why)
        self.why = why
        self.after = min(max(after, 0.0), LONGEST_REST)


class Undeliverable(Exception):
    """A sink does not take an announcement, and never will.

    Parameters
    ----------
    why : str
        What is logged: without secrets, and without anything of a patient's.
    """

    def __init__(self, why: str = "it does not want it") -> None:
        super().__init__(why)
        self.why = why


@dataclass(frozen=True, slots=True)
class Retries:
    """How long is waited between two attempts: twice as long each time, and not all at once.

    Parameters
    ----------
    first, most : float
        Seconds after the first attempt, and the most after any. What is waited is drawn between
        half of that and all of it, so that many receivers do not come at the same moment.
    give_up : float
        Seconds after the first attempt at an announcement, when there is none any more.

    Raises
    ------
    ValueError
        Where they are no such times.
    """

    first: float = 1.0
    most: float = 60.0
    give_up: float = 300.0

    def __post_init__(self) -> None:
        if not (0 < self.first <= self.most and self.give_up >= 0):
            raise ValueError("retries need 0 < first <= most, and give_up of 0 or more seconds")

    def wait(self, attempt: int) -> float:
        """Return the seconds to wait after an attempt.

        Parameters
        ----------
        attempt : int
            Its number; the first one has 0.
        """
        longest = min(self.first * 2.0 ** min(attempt, 60), self.most)
        return longest * random.uniform(0.5, 1)
