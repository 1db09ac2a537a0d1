"""Fuzzes one target under atheris, for which `make fuzz` starts a process each.

    python -m tests.fuzzing.guided TARGET [libFuzzer's options] [FOLDER ...]

In the first folder inputs are kept that reach something new; those in the others are read as well.
An input that fails is written where -artifact_prefix says. With -merge=1 those of the others that
the first one needs are copied to it.
"""

from __future__ import annotations

import random
import shlex
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["aiodicom"]):
    from tests.fuzzing.targets import TARGETS

LONGEST = 1 << 13
"""Bytes of an input. The buffers are small as well, so that this crosses every boundary."""


def main(arguments: list[str]) -> None:
    name, *options = arguments
    target = TARGETS[name]

    def mutate(data: bytes, most: int, seed: int) -> bytes:
        return target.mutate(data, most, random.Random(seed), _by_bytes)

    with target.make() as run:
        fixed = [f"-max_len={LONGEST}", "-timeout=60", "-rss_limit_mb=2048", *options]
        with tempfile.TemporaryDirectory() as folder:
            again = _program(Path(folder), name)
            atheris.Setup([again, *fixed], run, custom_mutator=mutate)
            atheris.Fuzz()


def _program(folder: Path, name: str) -> str:
    """Write what libFuzzer starts to start us again, which it does to merge."""
    program = folder / "again"
    words = (sys.executable, "-m", "tests.fuzzing.guided", name)
    program.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n')
    program.chmod(0o700)
    return str(program)


def _by_bytes(data: bytes, most: int) -> bytes:
    changed: bytes = atheris.Mutate(data, max(most, 1))
    return changed


if __name__ == "__main__":
    main(sys.argv[1:])
