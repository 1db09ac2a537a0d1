"""The well-known ports on a page, and free ones in their place."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from tests.processes import free_port

_KNOWN = re.compile(r"(?<![\w.])(104|2761|2762|1111[2-9]|8000|8042|8080|8443|8888)(?![\w.]*\w)")
"""Those for DICOM, and those that web servers are often given. No part of a UID is one."""

_LISTENING = "0A"


class Ports:
    """What a page's ports are while it runs."""

    def __init__(self, page: str) -> None:
        self._free: dict[str, str] = {}
        for known in _KNOWN.findall(page):
            while known not in self._free:
                port = str(free_port())
                if port not in self._free.values():
                    self._free[known] = port

    def free(self, text: str) -> str:
        """Return a text of the page with the ports that are free."""
        return _KNOWN.sub(lambda found: self._free.get(found[0], found[0]), text)

    def shown(self, output: str) -> str:
        """Return an output with the ports of the page."""
        for known, free in self._free.items():
            output = re.sub(rf"(?<![\w.]){free}(?!\w)", known, output)
        return output

    def named(self, text: str) -> set[int]:
        """Return the ports that stand in what `free` has returned."""
        return {int(free) for free in self._free.values() if re.search(rf"\b{free}\b", text)}

    def listening(self) -> set[int]:
        """Return those of the page's ports that somebody listens on."""
        ports = {int(free) for free in self._free.values()}
        return ports & {port for table in ("tcp", "tcp6") for port in _listening(table)}


def _listening(table: str) -> Iterator[int]:
    """Yield ports that are listened on: they come first, and behind them what may be thousands."""
    with Path("/proc/net", table).open() as rows:
        next(rows)
        for fields in map(str.split, rows):
            if fields[3] != _LISTENING:
                return
            yield int(fields[1].rpartition(":")[2], 16)
