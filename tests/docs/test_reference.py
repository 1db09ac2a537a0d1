"""The reference has every public name and no other, each with what a caller must know."""

from __future__ import annotations

import ast
import enum
import importlib
import importlib.util
import inspect
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import aiodicom
from tests.docs.blocks import PAGES, find_blocks, name_of
from tests.docs.directives import PAGES as REFERENCE
from tests.docs.directives import Shown, shown, shown_one_by_one
from tests.docs.unrun import parse

MODULES = ("announcing", "events", "http", "monitor", "storage", "testing", "tls")
"""Those that are public beside `aiodicom`, where they are there."""


def _callables() -> Iterator[object]:
    for each in shown_one_by_one():
        name, value = each.path, each.value
        if name.startswith("aiodicom.testing."):  # most of which say it with their names
            continue
        if inspect.isclass(value):
            if not each.is_given and not issubclass(value, enum.Enum):
                yield pytest.param(value, id=name)
            for method, function in inspect.getmembers(value, inspect.isfunction):
                if _is_shown(each, method, function):
                    yield pytest.param(function, id=f"{name}.{method}")
        elif inspect.isfunction(value) and name != "aiodicom.run":  # the parameters of serve
            yield pytest.param(value, id=name)


def _is_shown(shown: Shown, method: str, function: Callable[..., object]) -> bool:
    if method[0] == "_" or not function.__module__.startswith("aiodicom"):
        return False
    return bool(function.__doc__) and method not in shown.excluded


def test_every_public_name_is_in_the_reference_once_and_no_other() -> None:
    named = [each.path for each in shown() if each.kind != "module" and each.path.count(".") == 1]
    assert sorted(named) == sorted(
        f"aiodicom.{name}" for name in aiodicom.__all__ if name != "__version__"
    )


@pytest.mark.parametrize(
    "name", [m for m in MODULES if importlib.util.find_spec(f"aiodicom.{m}") is not None]
)
def test_every_public_module_has_a_page(name: str) -> None:
    assert f".. automodule:: aiodicom.{name}\n" in REFERENCE.get(name, "")
    assert f"\n{name}\n" in REFERENCE["index"], "the page is in no toctree"
    module = importlib.import_module(f"aiodicom.{name}")
    assert module.__all__


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_what_a_page_takes_from_us_is_in_the_reference(page: Path) -> None:
    for block in find_blocks(page.read_text(encoding="utf-8")):
        if block.language == "python" and not block.is_hidden:
            for node in ast.walk(parse(block.text)):
                if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("aiodicom"):
                    for alias in node.names:
                        assert _is_public(str(node.module), alias.name), ast.unparse(node)


def _is_public(module: str, name: str) -> bool:
    text = "\n".join(REFERENCE.values())
    if f":: {module}.{name}\n" in text or f".. automodule:: {module}\n" in text:
        return True
    return module == "aiodicom" and f":: aiodicom.{name}." in text  # a module of which parts are


@pytest.mark.parametrize("function", list(_callables()))
def test_what_can_be_called_says_what_it_takes(function: object) -> None:
    assert callable(function)
    text = inspect.getdoc(function) or ""
    assert text
    if text.startswith("See `"):
        return
    sections = text.partition("\nParameters\n")[2] or text.partition("\nAttributes\n")[2]
    said = {
        name.strip()
        for line in re.findall(r"^(\*{0,2}\w+(?:, \w+)*)(?: :.*)?$", sections, re.MULTILINE)
        for name in line.lstrip("*").split(",")
    }
    assert _parameters(function) <= said


def _parameters(function: object) -> set[str]:
    assert callable(function)
    try:
        parameters = inspect.signature(function).parameters
    except ValueError:  # an exception without a constructor of its own
        return set()
    return set(parameters) - {"self", "args", "kwargs"}
