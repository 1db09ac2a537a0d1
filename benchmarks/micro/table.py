"""``python -m benchmarks.micro.table``: the last saved run as a Markdown table."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SAVED = Path(".benchmarks")


def last_run() -> dict[str, Any]:
    """Return what pytest-benchmark saved last.

    Raises
    ------
    SystemExit
        Where nothing is saved.
    """
    files = sorted(SAVED.glob("*/*.json"), key=lambda path: path.stat().st_mtime)
    if not files:
        raise SystemExit("nothing is saved: make bench-micro")
    run: dict[str, Any] = json.loads(files[-1].read_text(encoding="utf-8"))
    return run


def lines(run: dict[str, Any]) -> Iterator[str]:
    """Make a line of each benchmark: its group, its name, its median in microseconds."""
    machine = run["machine_info"]
    yield f"{machine['python_implementation']} {machine['python_version']}, {machine['machine']}."
    yield ""
    yield "| group | what | median, µs |"
    yield "| :-- | :-- | --: |"
    for one in sorted(run["benchmarks"], key=lambda one: str(one["fullname"])):
        name = one["name"].removeprefix("test_").replace("_", " ").replace("[", ": ").rstrip("]")
        microseconds = one["stats"]["median"] * 1e6 / one["extra_info"].get("times", 1)
        yield f"| {one['group']} | {name} | {microseconds:,.1f} |"


if __name__ == "__main__":
    print("\n".join(lines(last_run())))
