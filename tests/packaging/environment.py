"""An environment with nothing but a wheel and what it depends on, made without an index."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

from tests.processes import run


@dataclass(frozen=True)
class Environment:
    """An environment of its own.

    Attributes
    ----------
    bin : Path
        Its scripts.
    """

    bin: Path

    @property
    def variables(self) -> dict[str, str]:
        """The process's, without what leads to the sources."""
        return {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}

    def run(self, *words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
        """Run one of its scripts to its end."""
        return subprocess.run(
            (str(self.bin / words[0]), *words[1:]),
            capture_output=True, text=True, timeout=20, check=False, cwd=cwd, env=self.variables,
        )  # fmt: skip


def bare_environment(folder: Path, wheel: Path) -> Environment:
    """Make one. The dependencies are those of this very process, linked."""
    venv.create(folder, with_pip=False)
    there = next(folder.glob("lib/python*/site-packages"))
    for name in sorted(dependencies(requirements(wheel))):
        for path in top_level(metadata.distribution(name)):
            (there / path.name).symlink_to(path)
    done = run(
        (sys.executable, "-m", "pip", "--python", str(folder / "bin/python"), "install",
         "--quiet", "--disable-pip-version-check", "--no-index", "--no-deps", str(wheel)),
        timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return Environment(folder / "bin")


def requirements(wheel: Path) -> list[str]:
    """What a wheel says that it needs."""
    found = next(iter(metadata.distributions(path=[str(wheel)])))
    return found.requires or []


def dependencies(wanted: list[str]) -> set[str]:
    """The names of what `wanted` needs, and of what that needs, extras left out."""
    found: set[str] = set()
    left = list(wanted)
    while left:
        needed = Requirement(left.pop())
        if needed.marker is not None and not needed.marker.evaluate({"extra": ""}):
            continue
        name = metadata.distribution(needed.name).metadata["Name"]
        if name not in found:
            found.add(name)
            left += metadata.distribution(name).requires or []
    return found


def top_level(distribution: metadata.Distribution) -> Iterator[Path]:
    """The files and folders that a distribution has beside others' in its place."""
    names = {file.parts[0] for file in distribution.files or () if ".." not in file.parts}
    for name in sorted(names - {"__pycache__", "bin"}):
        yield Path(str(distribution.locate_file(name))).resolve()
