"""The notebook runs from its first cell to its last, and is kept without what it said."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from nbclient import NotebookClient
from nbformat.v4 import reads

from tests.examples.running import EXAMPLES

NOTEBOOK = EXAMPLES / "receive.ipynb"


def test_the_notebook_receives_what_it_sends(tmp_path: Path) -> None:
    notebook = reads(NOTEBOOK.read_text(encoding="utf-8"))  # type: ignore[no-untyped-call]
    client = NotebookClient(
        notebook, timeout=30, kernel_name="python3", resources={"metadata": {"path": tmp_path}}
    )
    asyncio.run(client.async_execute())
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    said = [output for cell in cells for output in cell.outputs]
    assert {output.output_type for output in said} == {"execute_result"}
    texts = [output.data["text/plain"] for output in said]
    assert "as NOTEBOOK" in texts[0]
    assert texts[1] == "True"
    assert texts[2] == str([("CT", number, 16, 16) for number in ("1", "2", "3")])
    assert "Pixel Spacing" in texts[3]


def test_the_notebook_is_kept_without_what_it_said() -> None:
    notebook: dict[str, Any] = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)
