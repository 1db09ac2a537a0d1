"""``python -m tests.options_page``: writes docs/options.md from the commands' own tables."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path

from aiodicom.__main__ import COMMANDS
from aiodicom.cli.options import Command, Option

PAGE = Path(__file__).parent.parent / "docs" / "options.md"

HEAD = """\
# Options

Every option of every command, made from the commands' own tables by `make options`. What is behind
them, and where they differ from those of the same name elsewhere, is in [commands](commands.md).
"""


def page() -> str:
    """Return the page."""
    return "\n".join(_lines())


def _lines() -> Iterator[str]:
    yield HEAD
    for name in COMMANDS:
        command: Command = importlib.import_module(f"aiodicom.{name}").COMMAND
        yield f"## {name}\n"
        yield f"`python -m aiodicom.{name} [options] {command.synopsis}`\n"
        for group in command.groups:
            yield f"**{group.title}**\n"
            yield "| option | |"
            yield "|---|---|"
            for option in group.options:
                yield f"| {_names(option)} | {option.help.replace('|', chr(92) + '|')} |"
            yield ""


def _names(option: Option) -> str:
    names = ", ".join(f"`{name}`" for name in option.names)
    values = " ".join(f"*{value}*" for value in option.metavar.split())
    return f"{names} {values}".rstrip()


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
