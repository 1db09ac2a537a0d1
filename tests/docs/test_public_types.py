"""Whatever public names take and give has a public name as well, so that it can be annotated."""

from __future__ import annotations

import ast
import functools
import importlib
import inspect
import re
import typing
from collections.abc import Callable, Iterator
from types import FunctionType

from tests.docs.directives import Shown, shown_one_by_one

SHOWN = list(shown_one_by_one())

PUBLIC = [each.value for each in SHOWN]


def test_every_type_of_ours_that_a_user_meets_has_a_public_name() -> None:
    nameless = {
        f"{kind.__module__}.{kind.__qualname__} of {each.path}{member}"
        for each in SHOWN
        for member, hint in _hints(each)
        for kind in _classes(hint)
        if kind.__module__.startswith("aiodicom") and kind not in PUBLIC
    }
    assert not nameless


def test_what_is_met_is_looked_for_everywhere() -> None:
    met = {(each.path, member) for each in SHOWN for member, _ in _hints(each)}
    assert {
        ("aiodicom.serve", "()"),
        ("aiodicom.run", "()"),
        ("aiodicom.StoreRequest", "()"),
        ("aiodicom.DatasetStream", ".block()"),
        ("aiodicom.StoreHandler", ".__call__()"),
        ("aiodicom.Requestor", ".agreed"),
        ("aiodicom.AssociationInfo", ".request"),
        ("aiodicom.testing.ScriptedPeer", ".receive()"),
        ("aiodicom.storage.Studies", ".close()"),
        ("aiodicom.systemd.take_sockets", "()"),
    } <= met
    assert not {("aiodicom.DatasetStream", ".feed()"), ("aiodicom.Server", "()")} & met


def test_each_attribute_has_a_line_of_its_own() -> None:
    """Sphinx would take two in one line for one, of a strange name."""
    for each in SHOWN:
        attributes = (inspect.getdoc(each.value) or "").partition("\nAttributes\n")[2]
        assert not re.search(r"^\w+, ", attributes, re.MULTILINE), each.path


def _hints(shown: Shown) -> Iterator[tuple[str, object]]:
    """The types of all parameters, results and attributes, and whose they are."""
    value = shown.value
    if isinstance(value, type):
        for part in value.__mro__:
            if part.__module__.startswith("aiodicom"):
                yield from _of_class(shown, part)
    elif isinstance(value, FunctionType):
        yield from (("()", hint) for hint in _annotations(inspect.unwrap(value)).values())


def _of_class(shown: Shown, kind: type) -> Iterator[tuple[str, object]]:
    doc = inspect.getdoc(shown.value) or ""
    for name, hint in _annotations(kind).items():
        if re.search(rf"^(\w+, )*{name}(, \w+)* : ", doc, re.MULTILINE):
            yield f".{name}", hint
    for name, member in vars(kind).items():
        function = getattr(member, "__func__", getattr(member, "fget", member))
        if not isinstance(function, FunctionType) or name in shown.excluded:
            continue
        where = f".{name}" if isinstance(member, property) else f".{name}()"
        if name == "__init__":
            where = "()"
        is_shown = name == "__call__" or (name[0] != "_" and function.__doc__)
        if is_shown or (name == "__init__" and not shown.is_given):
            yield from ((where, hint) for hint in _annotations(function).values())


def _annotations(of: Callable[..., object]) -> dict[str, object]:
    return inspect.get_annotations(of, globals=_names_in(of.__module__), locals={}, eval_str=True)


@functools.cache
def _names_in(module: str) -> dict[str, object]:
    """All names of a module, those that only type checkers see included."""
    source = importlib.import_module(module)
    names = dict(vars(source))
    for node in ast.parse(inspect.getsource(source)).body:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            exec(compile(ast.Module(node.body, []), module, "exec"), names)
    return names


def _classes(hint: object) -> Iterator[type]:
    for part in hint if isinstance(hint, list) else typing.get_args(hint):
        yield from _classes(part)
    if isinstance(hint, type):
        yield hint
