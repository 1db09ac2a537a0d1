"""Shell, taken apart into the commands that a reader would type one after the other."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator


def split_commands(text: str) -> list[str]:
    """Return the commands of a block; one may take several lines."""
    commands: list[str] = []
    so_far: list[str] = []
    for line in text.splitlines():
        if not so_far and (not line.strip() or line.lstrip().startswith("#")):
            continue
        so_far.append(line)
        if is_whole("\n".join(so_far)):
            commands.append("\n".join(so_far))
            so_far = []
    if so_far:
        raise AssertionError(f"no shell understands this: {complaint(chr(10).join(so_far))}")
    return commands


def split_transcript(text: str) -> Iterator[tuple[str, str]]:
    """Yield the commands of what was copied from a terminal, each with what it printed."""
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        lines = part.splitlines()
        count = 1
        while count < len(lines) and (
            lines[count].startswith("> ") or not is_whole("\n".join(lines[:count]))
        ):
            lines[count] = lines[count].removeprefix("> ")
            count += 1
        yield "\n".join(lines[:count]), "\n".join(lines[count:])


def is_whole(command: str) -> bool:
    """Whether nothing of a command is still to come."""
    return not command.endswith("\\") and not complaint(command)


def complaint(command: str) -> str:
    """Return what a shell has to say against a command that it shall not run."""
    looked = subprocess.run(
        ("bash", "-n", "-c", command), capture_output=True, text=True, check=False
    )
    return looked.stderr
