"""A wheel and an sdist, built once; and an environment that has the wheel and its dependencies."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.packaging.environment import Environment, bare_environment
from tests.processes import run

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with both, as `make build` makes them: without an index."""
    folder = tmp_path_factory.mktemp("dist")
    done = run((sys.executable, "-m", "hatchling", "build", "-d", str(folder)), cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="session")
def wheel(built: Path) -> Path:
    return next(built.glob("*.whl"))


@pytest.fixture(scope="session")
def sdist(built: Path) -> Path:
    return next(built.glob("*.tar.gz"))


@pytest.fixture(scope="session")
def bare(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """What ``pip install aiodicom`` makes of an empty environment."""
    return bare_environment(tmp_path_factory.mktemp("bare"), wheel)
