"""Every page does what it says: see the scheme in this package's docstring."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.blocks import PAGES, ROOT, Block, find_blocks, name_of
from tests.docs.plan import plan
from tests.docs.terminal import Terminal
from tests.docs.unrun import check

_BLOCKS = {name_of(page): find_blocks(page.read_text(encoding="utf-8")) for page in PAGES}

_DCMTK = re.compile(
    r"^(\$ )?(storescp|storescu|echoscu|dcmsend|dcmrecv|dcmdump|dcmconv) ", re.MULTILINE
)

_NOT_RUN = [
    pytest.param(block, id=f"{name}:{block.line} {block.not_run}")
    for name, blocks in _BLOCKS.items()
    for block in blocks
    if block.not_run
]


_RUN_BY = [
    pytest.param(block, id=f"{name}:{block.line} {block.run_by[-1]}")
    for name, blocks in _BLOCKS.items()
    for block in blocks
    if block.run_by
]


def _param(name: str, blocks: list[Block]) -> object:
    needs = any(block.is_shell and _DCMTK.search(block.text) for block in blocks)
    return pytest.param(name, id=name, marks=[pytest.mark.dcmtk] if needs else [])


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    "name",
    [
        _param(name, blocks)
        for name, blocks in _BLOCKS.items()
        if any(block.is_run_here for block in blocks)
    ],
)
def test_a_page_does_what_it_says(name: str, tmp_path: Path) -> None:
    blocks = _BLOCKS[name]
    with Terminal(tmp_path, "\n".join(block.text for block in blocks)) as terminal:
        for step in plan(blocks):
            terminal.take(step)


@pytest.mark.parametrize("block", _NOT_RUN)
def test_what_is_not_run_is_right_as_far_as_can_be_seen(block: Block) -> None:
    assert block.can_run, "there is nothing to run here"
    check(block)


@pytest.mark.parametrize("block", _RUN_BY)
def test_what_another_test_runs_is_a_file_that_it_names(block: Block) -> None:
    test, file = block.run_by
    assert block.text.strip() == (ROOT / file).read_text(encoding="utf-8").strip()
    there = ROOT / test
    tests = sorted(there.rglob("test_*.py")) if there.is_dir() else [there]
    name = re.compile(rf'"{Path(file).stem.removesuffix("_before").removesuffix("_after")}[".:]')
    assert any(name.search(path.read_text(encoding="utf-8")) for path in tests)


@pytest.mark.parametrize("page", [pytest.param(page, id=name_of(page)) for page in PAGES])
def test_make_has_the_targets_that_a_page_names(page: Path) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"`make ([a-z-]+)`", page.read_text(encoding="utf-8")):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_little_is_not_run() -> None:
    runs = [block for blocks in _BLOCKS.values() for block in blocks if block.can_run]
    assert len(_NOT_RUN) <= len(runs) / 5
