"""A busy receiver is killed a few times; ``make crash`` does it 500 times."""

from __future__ import annotations

import asyncio
import secrets
from pathlib import Path

import pytest

from tests.reliability.kills import run, told
from tests.reliability.ledger import Ledger

KILLS = 4
"""With one process and with two, and in either layout."""


def test_killed_receiver_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    seed = secrets.randbits(32)
    campaign = asyncio.run(run(tmp_path, seed, KILLS))
    assert campaign.wrong == [], f"seed {seed}"
    assert sum(ledger.acknowledged for ledger in campaign.ledgers) > KILLS, told(campaign)


@pytest.mark.parametrize(
    ("content", "finding"),
    [
        (b"second", ""),
        (b"third", ""),
        (b"first", "1.2 is an older one than was acknowledged"),
        (b"sec", "1.2 is not whole"),
        (None, "1.2 is lost"),
    ],
)
def test_what_is_found_of_a_file(tmp_path: Path, content: bytes | None, finding: str) -> None:
    ledger = Ledger(tmp_path, sorts=False)
    for number, data in enumerate((b"first", b"second", b"third")):
        ledger.sending("1.2", "", data)
        if number < 2:
            ledger.stored("1.2")
    if content is not None:
        (tmp_path / "CT.1.2").write_bytes(content)
    assert ledger.check() == ([finding] if finding else [])
