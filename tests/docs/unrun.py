"""What can be said of a block without running it."""

from __future__ import annotations

import ast
import importlib
import re
import shlex
from collections.abc import Iterator

from aiodicom.__main__ import COMMANDS
from aiodicom.cli.options import Command
from tests.docs.blocks import ROOT, Block
from tests.docs.commands import complaint, split_commands

_OURS = re.compile(rf"(?:python3? -m )?\baiodicom[. ]({'|'.join(COMMANDS)})\b([^|&;<>]*)")
_TARGET = re.compile(r"^\s*make ([a-z][a-z-]*)", re.MULTILINE)


def check(block: Block) -> None:
    """Raise what is wrong with a block, as far as that can be seen."""
    if block.language == "python":
        check_python(block.text)
    elif block.language in ("sh", "bash"):
        check_shell(block.text)


def check_shell(text: str) -> None:
    """A shell understands it, our commands take their options, our Makefile has the targets."""
    assert not complaint(text), complaint(text)
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in _TARGET.findall(text):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"make has no {target}"
    for line in split_commands(text):
        for name, rest in _OURS.findall(line.replace("\\\n", " ")):
            command: Command = importlib.import_module(f"aiodicom.{name}").COMMAND
            command.parse(shlex.split(rest, comments=True))


def check_python(text: str) -> None:
    """It compiles, and what it takes from aiodicom is there."""
    tree = parse(text)
    compile(text, "block", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    for path in _ours(tree):
        assert _is_there(path), f"there is no {path}"


def parse(text: str) -> ast.AST:
    """Return the tree of a block, which may ``await`` at its top level."""
    tree: ast.AST = compile(
        text, "block", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT | ast.PyCF_ONLY_AST
    )
    return tree


def _ours(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and ast.unparse(node).startswith("aiodicom."):
            yield ast.unparse(node)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("aiodicom"))
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("aiodicom"):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _is_there(path: str) -> bool:
    if not re.fullmatch(r"[\w.]+", path):  # what a call returns
        return True
    first, *names = path.split(".")
    found: object = importlib.import_module(first)
    for name in names:
        first = f"{first}.{name}"
        if not hasattr(found, name):
            try:
                importlib.import_module(first)
            except ModuleNotFoundError:
                return False
        found = getattr(found, name)
    return True
