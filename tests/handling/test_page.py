"""docs/handlers.md: each block runs by itself, and its handler stores an object."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from aiodicom import Status
from tests.peer import Peer, dataset_pdus
from tests.reading.objects import EXPLICIT, command, context_of, ct, encoded, proposing
from tests.serving import serving

PAGE = Path(__file__).parents[2] / "docs/handlers.md"

BLOCKS = re.findall(
    r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
)


@pytest.mark.parametrize("block", BLOCKS, ids=[str(n) for n in range(len(BLOCKS))])
async def test_a_handler_of_the_page_stores_an_object(
    block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "page"}
    exec(compile(block, "block", "exec"), names)
    storage = names.get("storage")
    if storage is not None:
        await storage.__aenter__()
    async with serving(store=names["handler"]) as server, Peer(server.port) as peer:
        await peer.associate(proposing())
        await peer.send(command() + dataset_pdus(encoded(ct()), context_of(EXPLICIT)))
        assert await peer.status() == Status.SUCCESS
    if storage is not None:
        await storage.__aexit__(None, None, None)
