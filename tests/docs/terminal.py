"""Where a page is run: a folder, a home, a shell, and the servers that go on beside it."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.docs.plan import Command, Look, Save, Step
from tests.docs.ports import Ports

PATIENCE = 40.0
"""Seconds for a command to end, or to listen."""

LOOK = 0.05
"""Seconds after which it is looked again whether a command listens."""

SETTLED = 0.25
"""Seconds that what listens goes on before it is taken for a server: others end before."""

SOON = 5.0
"""Seconds in which a server prints what it has to."""

_TYPED = """\
[ ! -e "$STATE" ] || . "$STATE"
set -o pipefail
{}
code=$?
{{ export -p; printf 'cd %q\\n' "$PWD"; }} >"$STATE"
exit $code
"""


@dataclass(frozen=True, slots=True, eq=False)
class Running:
    """A command that runs."""

    step: Command
    process: subprocess.Popen[bytes]
    log: Path
    ports: set[int] = field(default_factory=set)


class Terminal:
    """A context manager: a page is run in its body, and its servers end with it.

    Parameters
    ----------
    folder : Path
        An empty one, which the folder of the page and its home are made in.
    page : str
        All of the page, for its ports.
    """

    def __init__(self, folder: Path, page: str) -> None:
        self.folder = folder / "here"
        self.ports = Ports(page)
        self._beside = folder
        self._servers: list[Running] = []
        self._count = 0
        self._environment = _environment(folder)

    def __enter__(self) -> Self:
        self.folder.mkdir()
        (self._beside / "home").mkdir()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if exc is None:
                self.stop_servers()
        finally:
            for server in self._servers:
                _kill(server.process)

    def take(self, step: Step) -> None:
        """Do what a reader does next."""
        if isinstance(step, Save):
            path = self.folder / step.name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(self.ports.free(step.text), encoding="utf-8")
            return
        if isinstance(step, Look):
            assert self._servers, f"line {step.line}: no server runs"
            self._compare(self._servers[-1], step.shown)
            return
        if step.is_ours:  # it would fail at a port that is taken, and be started again
            self._make_room(self.ports.named(self.ports.free(step.text)))
        running = self._run(step)
        if running is not None and (in_the_way := self._in_the_way(running)):
            for server in in_the_way:
                self._stop(server)
            running = self._run(step)
        if running is not None:
            self._judge(running)

    def _make_room(self, ports: set[int]) -> None:
        for server in [server for server in self._servers if server.ports & ports]:
            self._stop(server)

    def stop_servers(self) -> None:
        """End what goes on beside the page, as Ctrl-C or a service manager would."""
        while self._servers:
            self._stop(self._servers[-1])

    def _stop(self, server: Running) -> None:
        if server.process.poll() is None:
            _tell_to_end(server.process)
        code = server.process.wait(PATIENCE)
        clean = (0,) if server.step.is_ours else (0, 128 + signal.SIGTERM)
        output = self._output(server)
        assert code in clean, f"{_what(server.step)}\nended with {code}:\n{output}"
        assert "Traceback (" not in output, f"{_what(server.step)}\n{output}"
        _kill(server.process)
        self._servers.remove(server)

    def _run(self, step: Command) -> Running | None:
        """Run a command; return it when it has ended, None where it is a server."""
        text = self.ports.free(step.text)
        is_beside = text.rstrip().endswith(" &")
        self._count += 1
        log = self._beside / f"{self._count}.log"
        before = self.ports.listening()
        with log.open("wb") as output:
            process = subprocess.Popen(
                ("bash", "-c", _TYPED.format(text.rstrip().removesuffix("&"))),
                cwd=self.folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        running = Running(step, process, log)
        try:
            if self._is_server(running, before, self.ports.named(text) - before):
                self._servers.append(running)
                self._compare(running, step.shown)
                return None
        except BaseException:
            _kill(process)
            raise
        assert not is_beside, f"{_what(step)}\nended, and was to go on:\n{self._output(running)}"
        _kill(process)  # what it has left behind
        return running

    def _is_server(self, running: Running, before: set[int], named: set[int]) -> bool:
        listens: float | None = None
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            with contextlib.suppress(subprocess.TimeoutExpired):
                running.process.wait(LOOK)
                return False
            now = time.monotonic()
            ports = self.ports.listening() - before
            if not ports:
                listens = None
                continue
            listens = now if listens is None else listens
            certain = running.step.is_ours and named and ports >= named  # those do not end
            settled = SETTLED if ports >= named else 4 * SETTLED
            if certain or now - listens > settled:
                running.ports.update(ports)
                return True
        raise AssertionError(
            f"{_what(running.step)}\nneither ends nor listens on a port of the page's:\n"
            f"{self._output(running)}"
        )

    def _in_the_way(self, ended: Running) -> list[Running]:
        """Return the servers that have the port that a command wanted, or may have it."""
        output = ended.log.read_text(encoding="utf-8", errors="replace")
        if ended.process.returncode == ended.step.code or "ddress already in use" not in output:
            return []
        wanted = self.ports.named(output) or self.ports.named(self.ports.free(ended.step.text))
        have = [server for server in self._servers if server.ports & wanted]
        return have or list(self._servers)

    def _judge(self, ended: Running) -> None:
        step, code = ended.step, ended.process.returncode
        assert code == step.code, f"{_what(step)}\nended with {code}:\n{self._output(ended)}"
        self._compare(ended, step.shown)

    def _compare(self, running: Running, shown: str) -> None:
        """Compare what was printed with what the page says; a server has some time for it."""
        if not shown:
            return
        end = time.monotonic() + SOON
        output = self._output(running)
        while not is_like(output, shown):
            over = running.process.poll() is not None or time.monotonic() > end
            output = self._output(running)
            if over:
                break
            time.sleep(0.01)
        assert is_like(output, shown), f"{_what(running.step)}\nprinted\n{output}"

    def _output(self, running: Running) -> str:
        return self.ports.shown(running.log.read_text(encoding="utf-8", errors="replace"))


def is_like(output: str, shown: str) -> bool:
    """Whether an output is what is shown of it; ``...`` stands for anything."""
    pattern = re.escape(_plain(shown)).replace(r"\.\.\.", ".*")
    return re.fullmatch(pattern, _plain(output), re.DOTALL) is not None


def _plain(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


def _what(step: Command) -> str:
    return f"line {step.line}: {step.text}"


def _environment(folder: Path) -> dict[str, str]:
    programs = os.path.dirname(sys.executable)
    return {
        "HOME": str(folder / "home"),
        "PATH": f"{programs}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
        "LANG": "C.UTF-8",
        "COLUMNS": "100",
        "PYTHONUNBUFFERED": "1",  # as on a terminal
        "PYTHONDONTWRITEBYTECODE": "1",
        "STATE": str(folder / "state"),
        **{name: os.environ[name] for name in ("PYTHONPATH", "TMPDIR") if name in os.environ},
    }


def _tell_to_end(shell: subprocess.Popen[bytes]) -> None:
    """Send SIGTERM to what a shell runs, and not to the shell."""
    children = Path(f"/proc/{shell.pid}/task/{shell.pid}/children").read_text().split()
    for child in children:
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(child), signal.SIGTERM)


def _kill(shell: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(shell.pid, signal.SIGKILL)
    shell.wait()
