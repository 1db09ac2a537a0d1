"""What is in the wheel and in the sdist."""

from __future__ import annotations

import hashlib
import sys
import tarfile
import zipfile
from pathlib import Path

from aiodicom import __version__
from tests.packaging.conftest import ROOT
from tests.processes import run

LITTER = ("__pycache__", ".pyc", ".pytest_cache", ".mypy_cache", ".hypothesis", ".venv", "/build/")


def names_of_wheel(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_the_wheel_is_the_package_and_nothing_else(wheel: Path) -> None:
    inside = {name for name in names_of_wheel(wheel) if ".dist-info/" not in name}
    sources = {path.relative_to(ROOT) for path in (ROOT / "aiodicom").rglob("*") if path.is_file()}
    assert inside == {str(path) for path in sources if "__pycache__" not in path.parts}
    assert "aiodicom/py.typed" in inside


def test_the_wheel_is_for_every_platform_and_has_its_license(wheel: Path) -> None:
    assert wheel.name == f"aiodicom-{__version__}-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as archive:
        license_text = archive.read(f"aiodicom-{__version__}.dist-info/licenses/LICENSE")
    assert license_text == (ROOT / "LICENSE").read_bytes()


def test_the_sdist_has_what_its_pages_and_tests_need(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert not [name for name in names if any(part in f"/{name}" for part in LITTER)]
    wanted = "pyproject.toml Makefile README.md LICENSE CHANGELOG.md SECURITY.md .ci/run PKG-INFO"
    assert set(wanted.split()) <= names
    wanted = "aiodicom/py.typed docs/conformance.md tests/conftest.py deploy/aiodicom.service"
    assert set(wanted.split()) <= names


def test_the_sdist_builds_the_same_wheel(sdist: Path, wheel: Path, tmp_path: Path) -> None:
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    source = next(tmp_path.glob("aiodicom-*"))
    done = run((sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", "."), cwd=source)
    assert done.returncode == 0, done.stderr
    assert hashes(source / wheel.name) == hashes(wheel)


def hashes(wheel: Path) -> dict[str, str]:
    with zipfile.ZipFile(wheel) as archive:
        return {n: hashlib.sha256(archive.read(n)).hexdigest() for n in archive.namelist()}
