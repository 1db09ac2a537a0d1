"""``python -m tests.reliability.power_cuts [N]``: N histories of busy servers, cut everywhere."""

from __future__ import annotations

import argparse
import asyncio
import itertools
import logging
import random
import secrets
import sys
import tempfile

from aiodicom.storage.object_file import Duplicates
from tests.reliability.promises import Findings
from tests.reliability.sending import Load

ASSOCIATIONS, OBJECTS, LIMIT = 8, 6, 64


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("histories", nargs="?", type=int, default=40)
    parser.add_argument("--seed", type=int, default=None)
    asked = parser.parse_args()
    logging.getLogger("aiodicom").setLevel(logging.CRITICAL)
    seed = secrets.randbits(32) if asked.seed is None else asked.seed
    _say(f"seed {seed}")
    settings = itertools.cycle(itertools.product(Duplicates, (False, True), (1, 2)))
    total = Findings()
    stored = events = 0
    for number, (duplicates, sorts, servers) in zip(range(asked.histories), settings, strict=False):
        chance = random.Random(seed + number)
        with tempfile.TemporaryDirectory() as base:
            load = Load(base, chance, duplicates, sorts=sorts, servers=servers)
            asyncio.run(load.run(ASSOCIATIONS, OBJECTS))
            findings = load.examine(LIMIT, seed)
        stored += load.stored
        events += len(load.recorder.events)
        total.states += findings.states
        total.objects += findings.objects
        total.broken += [f"seed {seed + number}, {finding}" for finding in findings.broken]
    for finding in total.broken:
        _say(finding)
    _say(
        f"{asked.histories} histories, {stored:,} objects acknowledged, {events:,} events, "
        f"{total.states:,} states, {total.objects:,} objects looked for in them, "
        f"{len(total.broken)} broken"
    )
    return bool(total.broken)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
