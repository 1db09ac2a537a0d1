"""``python -m tests.docs PAGE...``: does what pages say, step by step, and says so.

For who writes one: the folder that it happens in stays where it is.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.docs.blocks import find_blocks
from tests.docs.plan import Command, Save, Step, plan
from tests.docs.terminal import Terminal


def main(pages: list[str]) -> int:
    for page in pages:
        blocks = find_blocks(Path(page).read_text(encoding="utf-8"))
        folder = Path(tempfile.mkdtemp(prefix="page-"))
        sys.stdout.write(f"{page}, in {folder}\n")
        with Terminal(folder, "\n".join(block.text for block in blocks)) as terminal:
            for step in plan(blocks):
                sys.stdout.write(f"  line {step.line}: {_said(step)}\n")
                terminal.take(step)
    return 0


def _said(step: Step) -> str:
    if isinstance(step, Save):
        return f"save {step.name}"
    return step.text if isinstance(step, Command) else "look at the server"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
