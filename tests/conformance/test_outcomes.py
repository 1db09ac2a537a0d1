"""Statuses and rejections: the statement has all that the code has, and no others."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import aiodicom
from aiodicom.wire.dimse import Status
from tests.conformance.asking import cells, section, written

PACKAGE = Path(aiodicom.__file__).parent

ACCEPTING = ("acceptor", "server", "access", "storage", "wire", "cli")
"""Where an acceptor's statuses and rejections come from."""

NOT_OF_COMMANDS = {Status.DUPLICATE_SOP_INSTANCE, Status.DATASET_DOES_NOT_MATCH_WARNING}
"""What only `FileStorage(duplicates="refuse")` and `(mismatch="warn")` answer."""

EVERYTHING = ("storescp", "104", "--window", "8", "--max-object", "1k", "-su", "P", "--refuse",
              "--require-called-aet", "A", "--require-calling-aet", "B")  # fmt: skip


def nodes() -> Iterator[ast.AST]:
    paths = [PACKAGE / "dataset.py"]
    for folder in ACCEPTING:
        found = sorted((PACKAGE / folder).glob("*.py"))
        assert found, folder
        paths += found
    for path in paths:
        yield from ast.walk(ast.parse(path.read_text(encoding="utf-8")))


def used_statuses() -> set[Status]:
    """Every ``Status.NAME`` in the code."""
    return {
        Status[node.attr]
        for node in nodes()
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "Status"
        and node.attr in Status.__members__
    }


def used_rejections() -> set[tuple[int, ...]]:
    """Every A-ASSOCIATE-RJ in the code whose numbers are written there."""
    found: set[tuple[int, ...]] = set()
    for node in nodes():
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            skipped = {"AssociationRejected": 1, "AssociateReject": 0}.get(node.func.id)
            if skipped is not None:
                said = [a.value for a in node.args[skipped:] if isinstance(a, ast.Constant)]
                if len(said) == 3:
                    found.add(tuple(int(str(number)) for number in said))
    return found


def test_statuses_are_those_of_the_code() -> None:
    text = written(*EVERYTHING)
    rows = cells(section(text, "7.3.2.2")) + cells(section(text, "7.3.2.1"))
    stated = {int(row[2], 16) for row in rows}
    assert stated == {int(status) for status in used_statuses() - NOT_OF_COMMANDS}


def test_rejections_are_those_of_the_code(tmp_path: Path) -> None:
    (tmp_path / "users").write_text("")
    rules = tmp_path / "rules.toml"
    rules.write_text(
        'called_ae_titles = ["A"]\ncalling_ae_titles = ["B"]\n[identity]\nusers = "users"\n'
    )
    text = written("storescp", "104", "--refuse", "--access-file", str(rules))
    rows = cells(section(text, "7.2.1.4"))
    rejected = [row for row in rows if row[0].endswith(("permanent", "transient"))]
    stated = {tuple(int(cell[0]) for cell in row[:3]) for row in rejected}
    assert stated == used_rejections()


def test_success_and_failures_are_called_so() -> None:
    for row in cells(section(written(*EVERYTHING), "7.3.2.2")):
        assert row[0] == ("Success" if Status.is_success(int(row[2], 16)) else "Failure")
