"""``python -m tests.reliability.tracing``: whether the recorder sees each call that strace sees.

The power cuts are only as good as their record. So a busy server is recorded and traced at once,
and both must tell of the same calls in the same order.
"""

from __future__ import annotations

import asyncio
import logging
import random
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from aiodicom.storage.renaming import rename_files
from tests.reliability.recording import Event, Recorder
from tests.reliability.sending import Load

Calls = list[tuple[str, str]]
"""Names of calls, and the path of each or the number of bytes that were written."""

CALLS = {
    "openat": "create", "open": "create", "creat": "create", "write": "write", "writev": "writev",
    "fdatasync": "fdatasync", "fsync": "fsync", "rename": "rename", "link": "link",
    "linkat": "link", "symlink": "symlink", "unlink": "unlink", "mkdir": "mkdir", "rmdir": "rmdir",
}  # fmt: skip
"""What the recorder knows, by the names of the kernel."""

UNKNOWN = (
    *("pwrite64", "pwritev", "pwritev2", "truncate", "ftruncate", "fallocate", "renameat"),
    *("renameat2", "unlinkat", "mkdirat", "symlinkat", "copy_file_range", "sendfile", "splice"),
)
"""What changes files as well, and must not come."""


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        base, log, recorded = Path(folder, "base"), Path(folder, "log"), Path(folder, "recorded")
        base.mkdir()
        names = ",".join((*CALLS, *UNKNOWN))
        strace = ("strace", "-f", "-y", "-s", "0", "-e", f"trace={names}", "-o", str(log))
        child = (sys.executable, "-m", "tests.reliability.tracing", str(base), str(recorded))
        subprocess.run((*strace, *child), check=True, timeout=300)
        traced = calls_of(log.read_text().splitlines(), str(base))
        lines = recorded.read_text().splitlines()
    ours: Calls = [(call, what) for call, _, what in (line.partition(" ") for line in lines)]
    for number, (mine, theirs) in enumerate(zip(ours, traced, strict=False)):
        if mine != theirs:
            raise SystemExit(f"call {number}: recorded {mine}, traced {theirs}")
    if len(ours) != len(traced):
        raise SystemExit(f"{len(ours)} calls recorded, {len(traced)} traced")
    sys.stdout.write(f"{len(ours)} calls, the same in the record and in the trace\n")
    return 0


def calls_of(lines: list[str], base: str) -> Calls:
    """The calls of a trace that change something below a folder, in the order of their ends."""
    calls: Calls = []
    begun: dict[str, str] = {}
    for line in lines:
        pid, _, text = line.partition(" ")
        text = text.strip()
        if text.endswith("<unfinished ...>"):
            begun[pid] = text.removesuffix("<unfinished ...>")
            continue
        resumed = re.match(r"<\.\.\. \w+ resumed>", text)
        if resumed:
            text = begun.pop(pid) + text[resumed.end() :]
        call, _, rest = text.partition("(")
        arguments, _, result = rest.rpartition(" = ")
        paths = re.findall(rf'["<]({re.escape(base)}[^">]*)[">]', arguments)
        if not paths or result.startswith("-1") or (call == "openat" and "O_CREAT" not in rest):
            continue
        written = call in ("write", "writev")
        calls.append((CALLS.get(call, call), result.split()[0] if written else paths[-1]))
    return calls


def record(base: str, recorded: str) -> None:
    """Store something, give it short names, and write down what was recorded."""
    logging.getLogger("aiodicom").setLevel(logging.CRITICAL)
    load = Load(base, random.Random(1), sorts=True, servers=2)
    asyncio.run(load.run(associations=6, objects=5))
    with load.recorder:
        for study in Path(base, "received").iterdir():
            rename_files(str(study), [path.name for path in study.iterdir()])
    Path(recorded).write_text("".join(f"{call} {what}\n" for call, what in told(load.recorder)))


def told(recorder: Recorder) -> Calls:
    """What was recorded, as a trace tells it."""
    paths: dict[int, str] = {}
    calls: Calls = []
    for event in recorder.events:
        if not isinstance(event, Event) or event.call == "close":
            continue
        if event.call in ("open", "create"):
            paths[event.descriptor] = event.path
        if event.call in ("write", "writev"):
            calls.append((event.call, str(len(event.data))))
        elif event.call != "open":
            calls.append((event.call, event.target or event.path or paths[event.descriptor]))
    return calls


if __name__ == "__main__":
    if len(sys.argv) > 1:
        record(*sys.argv[1:])
    else:
        sys.exit(main())
