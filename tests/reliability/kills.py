"""``python -m tests.reliability.kills [N]``: kill a busy receiver N times, and look each time."""

from __future__ import annotations

import argparse
import asyncio
import secrets
import sys
import tempfile
from pathlib import Path

from tests.reliability.killing import ASSOCIATIONS, Campaign


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kills", nargs="?", type=int, default=500)
    parser.add_argument("--seed", type=int, default=None)
    asked = parser.parse_args()
    seed = secrets.randbits(32) if asked.seed is None else asked.seed
    sys.stdout.write(f"seed {seed}\n")
    with tempfile.TemporaryDirectory() as base:
        campaign = asyncio.run(run(Path(base), seed, asked.kills))
    for finding in campaign.wrong:
        sys.stdout.write(f"{finding}\n")
    sys.stdout.write(f"{told(campaign)}\n")
    return bool(campaign.wrong)


async def run(base: Path, seed: int, kills: int) -> Campaign:
    campaign = Campaign(base, seed)
    try:
        for number in range(kills):
            await campaign.round()
            if number % 50 == 49:
                sys.stdout.write(f"{told(campaign)}\n")
                sys.stdout.flush()
    finally:
        await campaign.end()
    return campaign


def told(campaign: Campaign) -> str:
    """The figures."""
    ledgers = campaign.ledgers
    kills = ", ".join(f"{count} of {who}" for who, count in campaign.kills.items())
    return (
        f"{campaign.kills.total()} kills ({kills}) under {ASSOCIATIONS} associations: "
        f"{sum(ledger.acknowledged for ledger in ledgers):,} objects acknowledged, "
        f"{sum(ledger.replaced for ledger in ledgers):,} of them in the place of another, "
        f"{sum(ledger.checked for ledger in ledgers):,} files compared, "
        f"{campaign.leftovers} unfinished files left and removed, {len(campaign.wrong)} wrong"
    )


if __name__ == "__main__":
    sys.exit(main())
