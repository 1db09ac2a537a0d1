"""Packages whose names are imported when they are first used."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest

import aiodicom
import aiodicom.storage
import aiodicom.testing
from tests.processes import run

PACKAGES = [
    pytest.param(package, id=package.__name__)
    for package in (aiodicom, aiodicom.storage, aiodicom.testing)
]


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_name_is_there_and_listed(package: ModuleType) -> None:
    assert set(package.__all__) <= set(dir(package))
    for name in package.__all__:
        value = getattr(package, name)
        assert vars(package)[name] is value, "it is looked for each time"


@pytest.mark.parametrize("package", PACKAGES)
def test_a_name_that_is_not_there_is_an_attribute_error(package: ModuleType) -> None:
    with pytest.raises(AttributeError, match=f"'{package.__name__}' has no attribute 'Nothing'"):
        package.Nothing  # noqa: B018


def test_nobody_imports_what_they_do_not_use() -> None:
    code = """
import sys, aiodicom
print(sorted(name for name in sys.modules if name.startswith("aiodicom.")))
aiodicom.serve, aiodicom.FileStorage
print("aiodicom.server.server" in sys.modules, "aiodicom.client" in sys.modules)
"""
    done = run((sys.executable, "-c", code))
    assert done.stdout.splitlines() == [
        "['aiodicom.first_use', 'aiodicom.wire', 'aiodicom.wire.identity']",
        "True False",
    ], done.stderr
