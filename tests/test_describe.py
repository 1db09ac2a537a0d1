"""What a peer sent, as text that may be shown."""

from __future__ import annotations

from aiodicom.describe import LONGEST, escape


def test_what_could_steer_a_terminal_or_a_log_is_escaped() -> None:
    assert escape("a\x1b[31m\nb\0") == "a\\x1b[31m\\nb\\x00"


def test_a_backslash_cannot_be_taken_for_an_escape() -> None:
    assert escape("\\n") != escape("\n")


def test_of_a_long_text_the_beginning_is_shown() -> None:
    assert escape("x" * 10_000) == "x" * LONGEST + "..."
