"""What a reader of a page does, step by step."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tests.docs.blocks import Block
from tests.docs.commands import split_commands, split_transcript

FRAGMENT = Path(__file__).with_name("fragment.py")

_NAMED = re.compile(r"# ((?:[\w-]+/)*[\w.-]+\.[a-z]+)\n")


@dataclass(frozen=True, slots=True)
class Save:
    """A file is saved."""

    line: int
    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Command:
    """A command is typed.

    Parameters
    ----------
    line : int
        Where it stands, or its block.
    text : str
        What is typed.
    shown : str
        What the page says it prints; empty where it says nothing.
    code : int
        What it ends with.
    is_ours : bool
        Whether it is a receiver of ours, which SIGTERM ends with exit code 0.
    """

    line: int
    text: str
    shown: str = ""
    code: int = 0
    is_ours: bool = False


@dataclass(frozen=True, slots=True)
class Look:
    """The terminal of the newest server is looked at."""

    line: int
    shown: str


Step = Save | Command | Look


def plan(blocks: Sequence[Block]) -> list[Step]:
    """Return what a reader does with the blocks of a page."""
    steps: list[Step] = []
    source = before = ""
    above: Block | None = None
    for index, block in enumerate(blocks):
        name = file_name(block)
        last, above = above, above if block.is_hidden else block
        if block.not_run or block.run_by:
            continue
        if "server" in block.flags:
            steps.append(Look(block.line, block.text))
        elif _is_output(block):
            if "output" in block.flags or (last is not None and last.is_run_here):
                _shown(steps, block)
        elif block.language == "python" and name is None:
            if block.is_hidden and "continues" not in block.flags:
                before += block.text + "\n"
                continue
            source = (source if "continues" in block.flags else "") + before + block.text + "\n"
            before = ""
            if not _is_continued(blocks[index + 1 :]):
                steps += _program(f"block_{block.line}.py", source, block)
        elif name is not None:
            steps += _file(name, block, blocks[index + 1 :])
        elif block.is_shell:
            steps += (_judged(step, steps) for step in _shell(block))
    return steps


def _judged(step: Command, so_far: Sequence[Step]) -> Command:
    """Have a command that runs a saved file be judged by that."""
    files = (save.text for save in so_far if isinstance(save, Save) and save.name in step.text)
    return replace(step, is_ours=step.is_ours or any(map(_is_ours, files)))


def _is_output(block: Block) -> bool:
    return block.language == "text" or "output" in block.flags


def _is_continued(following: Sequence[Block]) -> bool:
    for block in following:
        if block.language == "python" and file_name(block) is None:
            if "continues" in block.flags:
                return True
            if not block.is_hidden:
                return False
        elif block.can_run or _is_output(block):
            return False
    return False


def file_name(block: Block) -> str | None:
    """Return what a block is to be saved as, if it says so."""
    found = _NAMED.match(block.text + "\n")
    return found[1] if found and block.language not in ("sh", "bash", "console", "text") else None


def _file(name: str, block: Block, following: Sequence[Block]) -> Iterator[Step]:
    yield Save(block.line, name, block.text + "\n")
    mentioned = re.compile(rf"\b{re.escape(Path(name).stem)}\b|\bpytest\b")
    if block.language == "python" and not any(
        mentioned.search(later.text) for later in following if later.can_run
    ):
        yield _typed(block, f"python {shlex.quote(name)}", block.text)


def _program(name: str, source: str, block: Block) -> Iterator[Step]:
    yield Save(block.line, name, source)
    yield _typed(block, shlex.join((sys.executable, str(FRAGMENT), name)), source)


def _shell(block: Block) -> Iterator[Command]:
    if block.language == "console":
        typed = list(split_transcript(block.text))
    else:
        typed = [(command, "") for command in split_commands(block.text)]
    for index, (command, shown) in enumerate(typed):
        is_last = index == len(typed) - 1
        step = _typed(block if is_last else replace(block, flags=()), command, command)
        yield replace(step, shown=shown)


def _typed(block: Block, command: str, source: str) -> Command:
    flags = list(block.flags)
    code = int(flags[flags.index("exit") + 1]) if "exit" in flags else 0
    return Command(block.line, command, code=code, is_ours=_is_ours(source))


def _is_ours(source: str) -> bool:
    return re.search(r"\b(aiodicom[. ](\w+scp|dcmrecv|run)|server\.run)\b", source) is not None


def _shown(steps: list[Step], block: Block) -> None:
    """Give a block that shows an output to the command above it."""
    if not steps:
        raise AssertionError(f"line {block.line}: the output of nothing")
    last = steps[-1]
    if not isinstance(last, Command) or last.shown:
        raise AssertionError(f"line {block.line}: what is this the output of?")
    steps[-1] = replace(last, shown=block.text)
