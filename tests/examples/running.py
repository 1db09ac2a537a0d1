"""Examples as their users run them: processes of their own, ended by Ctrl-C."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydicom import FileDataset

import aiodicom
from aiodicom.testing import objects
from tests.processes import PATIENCE, Sender, free_port, tries

EXAMPLES = Path(__file__).parents[2] / "examples"


class Example:
    """An example that runs.

    Attributes
    ----------
    port, http_port : int
        Its DICOM port, and its HTTP port where it has one.
    process : subprocess.Popen
        Itself.
    """

    def __init__(
        self, port: int, http_port: int, process: subprocess.Popen[bytes], errors: Path
    ) -> None:
        self.port, self.http_port, self.process = port, http_port, process
        self._errors = errors

    @property
    def log(self) -> str:
        """What it has written to its standard error so far."""
        return self._errors.read_text()

    def wait_for(self, text: str, times: int = 1) -> None:
        """Wait until it has written something, so many times."""
        for _ in tries(f"{text!r} is not written"):
            if self.log.count(text) >= times:
                return

    def get(self, path: str) -> Any:
        """Return the JSON that it serves; wait until it serves at all."""
        for _ in tries(f"port {self.http_port} does not answer"):
            with contextlib.suppress(OSError):
                url = f"http://127.0.0.1:{self.http_port}{path}"
                with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
                    return json.load(answer)
        return None

    def send(self, *sent: FileDataset, calling: str = "MODALITY") -> list[int | None]:
        """Send objects over one association; return what each is answered."""
        files = [objects.encode(one) for one in sent]

        async def send() -> list[int | None]:
            async with aiodicom.connect(
                "127.0.0.1", self.port, calling_ae_title=calling
            ) as requestor:
                return [(await requestor.c_store(file)).status for file in files]

        return asyncio.run(send())

    def interrupt(self) -> int:
        """Send Ctrl-C to it and to its processes, wait for its end, return its exit code."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGINT)
        return self.process.wait(PATIENCE)


@contextlib.contextmanager
def running(name: str, *arguments: str, folder: Path, complains: bool = False) -> Iterator[Example]:
    """Run an example in an empty folder; end it with Ctrl-C, and see that it ends well.

    It is told its ports by the environment, and its DICOM port as its first argument as well.
    Its exit code is 0, and what it says are no warnings or errors unless it `complains`, and no
    traceback in any case.
    """
    port, http_port = free_port(), free_port()
    ports = {"DICOM_PORT": str(port), "HTTP_PORT": str(http_port)}
    errors = folder.with_name(f"{folder.name}.log")
    with errors.open("wb") as output:
        process = subprocess.Popen(
            (sys.executable, EXAMPLES / name, str(port), *arguments),
            cwd=folder,
            env={**os.environ, **ports},
            stdout=output,
            stderr=output,
            start_new_session=True,  # a process group, as a terminal's
        )
    example = Example(port, http_port, process, errors)
    try:
        _wait_until_it_listens(example)
        yield example
        assert example.interrupt() == 0, example.log
        said = example.log.lower()
        assert "traceback" not in said, said
        assert ("warn" in said or "error" in said) == complains, said
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _wait_until_it_listens(example: Example) -> None:
    for _ in tries(f"port {example.port} does not answer"):
        code = example.process.poll()
        assert code is None, f"ended at once with exit code {code}:\n{example.log}"
        with contextlib.suppress(OSError), Sender(example.port):
            return
