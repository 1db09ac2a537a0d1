"""The life of watchers where there are several processes."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from tests.processes import Receiver, Sender, tries
from tests.workers.test_workers import program, workers_of

PROGRAM = """
class Watcher:
    index = -1

    def say(self, what):
        with open("said", "a") as said:
            said.write(f"{os.getpid()} {what}\\n")

    def share(self, workers): self.say(f"share {workers}")
    def work(self, index): self.index = index; self.say(f"work {index}")
    def restarted(self, index): self.say(f"restarted {index}"); raise RuntimeError
    def close(self): self.say("close")
    async def __aenter__(self): self.say(f"enter {self.index}")
    async def __aexit__(self, *exc_info): self.say(f"leave {self.index}")
    def __call__(self, event): self.say(type(event).__name__)

aiodicom.run(port=port, host="127.0.0.1", workers=2, watchers=[Watcher()])
"""


def said(folder: Path) -> list[tuple[int, str]]:
    lines = (folder / "said").read_text().splitlines()
    return [(int(line.split()[0]), line.partition(" ")[2]) for line in lines]


def wait_listening(folder: Path, times: int) -> None:
    for _ in tries("a worker does not listen"):
        if sum(what == "ServerListening" for _, what in said(folder)) == times:
            break


def echo(receiver: Receiver) -> None:
    with Sender(receiver.port) as sender:
        sender.associate()
        sender.release()


def test_each_worker_is_told_which_one_it_is_and_only_the_parent_shares(tmp_path: Path) -> None:
    with program(tmp_path, PROGRAM) as receiver:
        parent, workers = receiver.process.pid, workers_of(receiver)
        echo(receiver)
        assert receiver.stop() == 0
    lines = said(tmp_path)
    assert [what for who, what in lines if who == parent] == ["share 2", "close"]
    assert lines[0] == (parent, "share 2")
    assert lines[-1] == (parent, "close")
    for index, pid in enumerate(sorted(workers)):
        of_it = [what for who, what in lines if who == pid]
        assert of_it[:3] == [f"work {index}", f"enter {index}", "ServerListening"]
        assert of_it[-2:] == ["ServerStopping", f"leave {index}"]
    assert [what for _, what in lines].count("AssociationEnded") == 1


def test_a_worker_that_died_is_told_of_before_another_one_gets_its_index(tmp_path: Path) -> None:
    with program(tmp_path, PROGRAM) as receiver:
        parent, first = receiver.process.pid, workers_of(receiver)
        wait_listening(tmp_path, 2)
        os.kill(first[0], signal.SIGKILL)
        wait_listening(tmp_path, 3)
        assert receiver.stop() == 0
        assert "A watcher failed: RuntimeError" in receiver.log
    lines = said(tmp_path)
    (gone,) = (int(w[-1]) for who, w in lines if who == first[0] and w.startswith("work"))
    assert (parent, f"restarted {gone}") in lines
    after = lines[lines.index((parent, f"restarted {gone}")) + 1 :]
    assert after[0][1] == f"work {gone}"
