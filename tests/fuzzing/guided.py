"""Fuzzes one target under atheris, for which `make fuzz` starts a process each.

    python -m tests.fuzzing.guided TARGET FOLDER [libFuzzer's options]

FOLDER is where new inputs are kept that reach something new; those that are checked in are read
as well. An input that fails is written where -artifact_prefix says.
"""

from __future__ import annotations

import random
import sys

import atheris

with atheris.instrument_imports(include=["aiodicom"]):
    from tests.fuzzing.targets import CORPUS, TARGETS

LONGEST = 1 << 13
"""Bytes of an input. The buffers are small as well, so that this crosses every boundary."""


def main(arguments: list[str]) -> None:
    name, folder, *options = arguments
    target = TARGETS[name]

    def mutate(data: bytes, most: int, seed: int) -> bytes:
        return target.mutate(data, most, random.Random(seed), _by_bytes)

    with target.make() as run:
        fixed = [f"-max_len={LONGEST}", "-timeout=60", "-rss_limit_mb=2048", *options]
        corpus = [folder, str(CORPUS / name)]
        atheris.Setup([sys.argv[0], *fixed, *corpus], run, custom_mutator=mutate)
        atheris.Fuzz()


def _by_bytes(data: bytes, most: int) -> bytes:
    changed: bytes = atheris.Mutate(data, max(most, 1))
    return changed


if __name__ == "__main__":
    main(sys.argv[1:])
