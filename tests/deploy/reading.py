"""The files in deploy/, read as what will run them reads them."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"


def unit(name: str) -> dict[str, list[str]]:
    """Return the settings of a unit, each with its values."""
    found: dict[str, list[str]] = {}
    for line in (DEPLOY / name).read_text(encoding="utf-8").splitlines():
        if line and line[0] not in "#[":
            key, _, value = line.partition("=")
            found.setdefault(key, []).append(value)
    return found


def instructions() -> list[tuple[str, str]]:
    """Return the Containerfile's instructions with what they are given, stage after stage."""
    text = (DEPLOY / "Containerfile").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    whole = "\n".join(lines).replace("\\\n", " ").splitlines()
    pairs = (line.split(None, 1) for line in whole if line.strip())
    return [(name, rest.strip()) for name, rest in pairs]


def last_stage() -> list[tuple[str, str]]:
    """Return the instructions of the image itself."""
    all_of_them = instructions()
    last = max(number for number, (name, _) in enumerate(all_of_them) if name == "FROM")
    return all_of_them[last:]


def given(name: str) -> str:
    """Return what an instruction of the image is given, which it has once."""
    [value] = [rest for each, rest in last_stage() if each == name]
    return value


def words_of(value: str) -> list[str]:
    """Return the words of an instruction in exec form."""
    words = json.loads(value)
    assert isinstance(words, list)
    return [str(word) for word in words]


def command_of(words: Sequence[str]) -> tuple[str, list[str]]:
    """Return which of our commands words run, and with what."""
    module = words[words.index("-m") + 1]
    rest = list(words[words.index("-m") + 2 :])
    return (rest[0], rest[1:]) if module == "aiodicom" else (module.partition(".")[2], rest)


def exec_start() -> list[str]:
    """Return the words of the service."""
    return shlex.split(unit("aiodicom.service")["ExecStart"][0])
