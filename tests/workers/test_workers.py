"""Several processes on one port, as processes."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

import aiodicom
from aiodicom.wire.dimse import Status
from aiodicom.wire.pdu import Abort, AssociateAccept, AssociateReject
from tests.commands.running import study_dataset
from tests.peer import (
    association_request,
    command_pdu,
    ct_dataset,
    dataset_pdus,
    fragment,
    store_command,
    store_pdus,
)
from tests.processes import (
    PATIENCE,
    Receiver,
    Sender,
    free_port,
    receiving,
    run,
    run_command,
    tries,
    unfinished,
    visible,
)

UID, NAME = "1.2.3", "CT.1.2.3"


def workers_of(receiver: Receiver) -> list[int]:
    """The process ids of a receiver's workers."""
    pid = receiver.process.pid
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def kill(receiver: Receiver) -> None:
    """End what still runs, the workers as well: they would end in their own time."""
    pids = workers_of(receiver) if receiver.process.poll() is None else []
    receiver.process.kill()
    receiver.process.wait()
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@contextlib.contextmanager
def storing(folder: Path, *options: str, prefix: tuple[str, ...] = ()) -> Iterator[Receiver]:
    """Run storescp with two workers, which store into ``received``."""
    more = ("-v", "--workers", "2", "-od", "received", *options)
    with receiving("storescp", *more, folder=folder, prefix=prefix) as receiver:
        try:
            receiver.wait_for_line("I: Listening on port")
            yield receiver
        finally:
            kill(receiver)


@contextlib.contextmanager
def program(folder: Path, text: str) -> Iterator[Receiver]:
    """Run a program that serves on ``port``, until it listens and while the body runs."""
    port, errors = free_port(), folder / "log"
    head = f"import aiodicom, asyncio, logging, os, time\nport = {port}\n"
    head += "logging.basicConfig(format='%(levelname)s: %(message)s', level='INFO')\n"
    (folder / "program.py").write_text(head + textwrap.dedent(text))
    with errors.open("wb") as output:
        command = (sys.executable, "program.py")
        process = subprocess.Popen(command, cwd=folder, stderr=output, stdout=output)
        receiver = Receiver(port, process, errors)
        try:
            for _ in tries("it does not listen"):
                assert process.poll() is None, receiver.log
                if "Listening on port" in receiver.log:
                    break
            yield receiver
        finally:
            kill(receiver)


def is_alive(pid: int) -> bool:
    with contextlib.suppress(OSError):
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        return state not in "ZX"
    return False


def wait_gone(*pids: int) -> None:
    for _ in tries(f"some of {pids} still run"):
        if not any(map(is_alive, pids)):
            return


def wait_replaced(receiver: Receiver, gone: int) -> None:
    """Wait until there are two workers, none of which is `gone`, and the new one serves."""
    for _ in tries("no new worker"):
        pids = workers_of(receiver)
        if gone not in pids and len(pids) == 2 and all(map(has_storage, pids)):
            return


def has_storage(pid: int) -> bool:
    """Tell whether a worker has begun so far as to hold the lock of its storage."""
    return any(link.endswith(".lock") for link in links_of(pid))


@contextlib.contextmanager
def senders(port: int, count: int) -> Iterator[list[Sender]]:
    """Associations."""
    with contextlib.ExitStack() as opened:
        made = [opened.enter_context(Sender(port)) for _ in range(count)]
        for sender in made:
            sender.associate()
        yield made


def worker_of(receiver: Receiver, sender: Sender) -> int:
    """The process id of the worker that serves an association, by its socket."""
    ours, theirs = sender.socket.getsockname()[1], sender.socket.getpeername()[1]
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, remote, *_, inode = line.split()[:10]
        if (int(local[-4:], 16), int(remote[-4:], 16)) == (theirs, ours):
            wanted = f"socket:[{inode}]"
            return next(pid for pid in workers_of(receiver) if wanted in links_of(pid))
    raise AssertionError("it has no worker")


def links_of(pid: int) -> set[str]:
    """What a process has open."""
    opened = set()
    with contextlib.suppress(OSError):  # it has just ended
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                opened.add(os.readlink(entry))
    return opened


@contextlib.contextmanager
def one_each(receiver: Receiver) -> Iterator[list[Sender]]:
    """Two associations, with the first worker and with the second."""
    with contextlib.ExitStack() as opened:
        found: dict[int, Sender] = {}
        for _ in tries("one worker has them all"):
            (sender,) = opened.enter_context(senders(receiver.port, 1))
            found.setdefault(worker_of(receiver, sender), sender)
            if len(found) == 2:
                break
        yield [found[pid] for pid in workers_of(receiver)]


def answers(sender: Sender, uid: str) -> bool:
    """Tell whether an association is served, whose worker may have been killed."""
    try:
        return sender.store(uid) == Status.SUCCESS
    except (EOFError, OSError):
        return False


def leave(sender: Sender) -> None:
    sender.release()
    sender.socket.close()


def hear_abort(sender: Sender) -> None:
    assert isinstance(sender.receive(), Abort)
    sender.socket.close()


# Serving -----------------------------------------------------------------------------------------


def test_objects_of_several_associations_are_stored_by_both_workers(tmp_path: Path) -> None:
    with (
        storing(tmp_path) as receiver,
        one_each(receiver) as two,
        senders(receiver.port, 6) as six,
    ):
        for number, sender in enumerate([*two, *six]):
            assert sender.store(f"1.2.{number}") == Status.SUCCESS
    assert visible(tmp_path / "received") == [f"CT.1.2.{number}" for number in range(8)]


LIMITS = ("--max-associations", "--max-associations-per-address", "--max-associations-per-title")


@pytest.mark.parametrize("option", LIMITS)
def test_limit_of_associations_holds_over_all_workers(option: str, tmp_path: Path) -> None:
    with (
        storing(tmp_path, option, "3") as receiver,
        senders(receiver.port, 3) as each,
    ):
        for _ in range(4):
            assert rejection(receiver.port) == (2, 3, 2)
        each[0].release()
        for _ in tries("there is no room again"):
            if rejection(receiver.port) is None:
                break


def rejection(port: int) -> tuple[int, int, int] | None:
    with Sender(port) as sender:
        sender.send(association_request())
        answer = sender.receive()
        assert isinstance(answer, (AssociateAccept, AssociateReject))
        if isinstance(answer, AssociateReject):
            return answer.result, answer.source, answer.reason
        sender.release()
        return None


@pytest.mark.parametrize("limit", ["connections", "connections_per_address"])
def test_limit_of_connections_holds_over_all_workers(limit: str, tmp_path: Path) -> None:
    limited = f"aiodicom.run(port=port, workers=2, limits=aiodicom.Limits({limit}=4))"
    with (
        program(tmp_path, limited) as receiver,
        senders(receiver.port, 4),
        Sender(receiver.port) as fifth,
        pytest.raises((EOFError, ConnectionResetError)),
    ):
        fifth.receive()


def test_idle_connections_leave_descriptors_for_the_files_of_others(tmp_path: Path) -> None:
    with (
        storing(tmp_path, prefix=("prlimit", "--nofile=64:64")) as receiver,
        one_each(receiver) as two,
    ):
        with contextlib.ExitStack() as idle:
            for _ in range(2 * 64):
                idle.enter_context(Sender(receiver.port))
            for _ in tries("both workers still take connections"):
                refused = r"^E: worker ([12]): Cannot accept connections"
                if set(re.findall(refused, receiver.log, re.MULTILINE)) == {"1", "2"}:
                    break
            for number, sender in enumerate(two):
                assert sender.store(f"1.2.{number}") == Status.SUCCESS
        with senders(receiver.port, 2) as more:
            assert [sender.store("1.2.3") for sender in more] == [Status.SUCCESS] * 2


def test_both_workers_write_to_the_log_of_the_command(tmp_path: Path) -> None:
    with storing(tmp_path) as receiver:
        with one_each(receiver) as two:
            for sender in two:
                leave(sender)
        assert receiver.stop() == 0
        lines = receiver.lines
    assert lines.pop(0) == f"I: Listening on port {receiver.port} as STORESCP, 2 workers"
    lines.remove("I: Stopping: SIGTERM")
    for number in (1, 2):
        own = [line for line in lines if line.startswith(f"I: worker {number}: ")]
        assert len(own) == 3 * own.count(f"I: worker {number}: Association Received")
        assert own.count(f"I: worker {number}: Association Released") == 1
        lines = [line for line in lines if line not in own]
    assert not lines


def test_both_workers_write_to_a_log_that_is_configured(tmp_path: Path) -> None:
    (tmp_path / "log.toml").write_text(
        "[handlers.file]\nclass = 'logging.FileHandler'\nfilename = 'configured.log'\n"
        "[loggers.aiodicom]\nlevel = 'INFO'\nhandlers = ['file']\n"
    )
    options = ("--workers", "2", "-lc", "log.toml")
    with receiving("storescp", *options, folder=tmp_path) as receiver:
        for _ in tries("it does not listen"):
            if "Listening" in (tmp_path / "configured.log").read_text():
                break
        with senders(receiver.port, 6) as each:
            for sender in each:
                leave(sender)
        assert receiver.stop() == 0
    assert (tmp_path / "configured.log").read_text().count("Association Released\n") == 6


def test_last_words_of_workers_are_in_the_log(tmp_path: Path) -> None:
    text = """
    from aiodicom.cli.logs import log_to_stderr
    class Store:
        async def __aenter__(self): pass
        async def __aexit__(self, *exc_info):
            for number in range(500):
                logging.getLogger("aiodicom").error("last words")
    with log_to_stderr(logging.INFO, {}):
        aiodicom.run(store=Store(), port=port, workers=2)
    """
    with program(tmp_path, text) as receiver:
        assert receiver.stop() == 0
        assert receiver.said.count("E: last words") == 1000


def test_command_for_an_object_has_no_signals_blocked(tmp_path: Path) -> None:
    masks = tmp_path / "masks"
    masks.mkdir()
    command = f"grep SigBlk /proc/self/status > {masks}/#f"
    with (
        storing(tmp_path, "-xs", "-xcr", command) as receiver,
        senders(receiver.port, 1) as (sender,),
    ):
        assert sender.store(UID) == Status.SUCCESS
    assert int((masks / NAME).read_text().split()[1], 16) == 0


# Workers that die --------------------------------------------------------------------------------


def test_worker_that_was_killed_is_replaced_and_the_other_goes_on(tmp_path: Path) -> None:
    with storing(tmp_path) as receiver, one_each(receiver) as each:
        for sender in each:
            sender.send(command_pdu(store_command(UID)) + fragment(ct_dataset(UID)[:50]))
        killed = workers_of(receiver)[0]
        os.kill(killed, signal.SIGKILL)
        receiver.wait_for_line(f"E: Worker 1 (process {killed}) has ended with signal 9: replaced")
        finished = []
        for sender in each:
            with contextlib.suppress(EOFError, OSError):
                sender.send(dataset_pdus(ct_dataset(UID)[50:]))
                finished.append(sender.status())
        assert finished == [Status.SUCCESS]
        wait_replaced(receiver, killed)
        with senders(receiver.port, 4) as more:
            assert all(answers(sender, f"1.4.{n}") for n, sender in enumerate(more))
        for sender in each:
            sender.socket.close()
        assert receiver.stop() == 0
    assert NAME in visible(tmp_path / "received")


def test_what_a_killed_worker_left_unfinished_is_removed_by_the_next(tmp_path: Path) -> None:
    received = tmp_path / "received"
    with storing(tmp_path) as receiver, one_each(receiver) as each:
        for sender in each:
            sender.send(store_pdus(UID, ct_dataset(UID, bytes(3_000_000)))[:2_500_000])
        for _ in tries("no temporary files"):
            if len(unfinished(received)) == 2:
                break
        os.kill(workers_of(receiver)[0], signal.SIGKILL)
        for _ in tries("it is still there"):
            if len(unfinished(received)) == 1:
                break
        receiver.wait_for_line("W: Removed 1 unfinished files")


def test_associations_of_a_killed_worker_do_not_count(tmp_path: Path) -> None:
    with (
        storing(tmp_path, "--max-associations", "2") as receiver,
        senders(receiver.port, 2) as (first, _),
    ):
        assert rejection(receiver.port) == (2, 3, 2)
        os.kill(worker_of(receiver, first), signal.SIGKILL)
        for _ in tries("there is no room again"):
            with contextlib.suppress(EOFError, ConnectionError):
                if rejection(receiver.port) is None:
                    break


def test_worker_that_was_told_to_stop_finishes_what_runs_and_is_replaced(tmp_path: Path) -> None:
    data = ct_dataset(UID)
    with storing(tmp_path) as receiver, one_each(receiver) as each:
        for sender in each:
            sender.send(command_pdu(store_command(UID)) + fragment(data[:50]))
        for _ in tries("not under way"):
            if receiver.said.count("I: Received Store Request") == 2:
                break
        told = workers_of(receiver)[0]
        os.kill(told, signal.SIGTERM)
        for sender in each:
            sender.send(dataset_pdus(data[50:]))
            assert sender.status() == Status.SUCCESS
            sender.socket.close()
        receiver.wait_for_line(f"E: Worker 1 (process {told}) has ended with exit code 0: replaced")


def test_worker_that_dies_young_is_replaced_later_and_later(tmp_path: Path) -> None:
    dying = """
    async def store(request):
        os._exit(7)
    aiodicom.run(store=store, port=port, workers=2)
    """
    with program(tmp_path, dying) as receiver:
        delays: list[str] = []
        for _ in tries("they do not die"):
            with contextlib.suppress(EOFError, OSError), Sender(receiver.port) as sender:
                sender.associate()
                sender.store(UID)
            delays = re.findall(r"exit code 7: replaced in (\S+) s", receiver.log)
            if "0.4" in delays:
                break
        assert delays[0] == "0.1"
        assert set(delays) == {"0.1", "0.2", "0.4"}


def test_replacement_that_cannot_start_is_said_and_tried_again(tmp_path: Path) -> None:
    with storing(tmp_path) as receiver, one_each(receiver) as each:
        (tmp_path / "received").rename(tmp_path / "away")
        (tmp_path / "received").write_text("no folder")
        os.kill(workers_of(receiver)[1], signal.SIGKILL)
        receiver.wait_for_line("E: Worker 2 (process ")
        pattern = r"exit code 1 \(cannot store in .*/received: File exists\): replaced in 0.2 s"
        for _ in tries("no second try"):
            if re.search(pattern, receiver.log):
                break
        (tmp_path / "received").unlink()
        (tmp_path / "away").rename(tmp_path / "received")
        for _ in tries("no new worker"):
            if len(workers_of(receiver)) == 2 and all(map(has_storage, workers_of(receiver))):
                break
        assert sum(answers(sender, UID) for sender in each) == 1


# What cannot start -------------------------------------------------------------------------------


def test_worker_that_cannot_start_is_said_once_and_ends_all(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    port = free_port()
    done = run_command("storescp", str(port), "-od", "file", "--workers", "3", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"F: cannot store in {tmp_path}/file: File exists\n"
    with pytest.raises(ConnectionRefusedError):
        Sender(port)


def test_worker_that_cannot_start_ends_the_command_with_its_own_exit_code() -> None:
    done = run_command("dcmrecv", str(free_port()), "-od", "/proc", "--workers", "2")
    assert done.returncode == 45
    assert done.stderr.startswith("F: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(("number", "how"), [(9, "signal 9"), (15, "exit code 0")])
def test_worker_that_ends_before_it_is_ready_ends_all(
    tmp_path: Path, number: int, how: str
) -> None:
    text = f"""
    import aiodicom, asyncio, os
    class Store:
        async def __aenter__(self):
            os.kill(os.getpid(), {number})
            await asyncio.sleep(0.1)  # for the loop to see that
        async def __aexit__(self, *exc_info):
            pass
    aiodicom.run(store=Store(), port=0, workers=2)
    """
    (tmp_path / "program.py").write_text(textwrap.dedent(text))
    done = run((sys.executable, str(tmp_path / "program.py")))
    assert done.returncode == 1
    assert f"ChildProcessError: a worker ended with {how}\n" in done.stderr


def test_bug_of_a_handler_that_starts_is_shown_with_its_place(tmp_path: Path) -> None:
    text = """
    import aiodicom
    class Store:
        async def __aenter__(self):
            raise LookupError(Store())
        async def __aexit__(self, *exc_info):
            pass
        def __reduce__(self):
            raise TypeError("cannot be pickled")
    aiodicom.run(store=Store(), port=0, workers=2)
    """
    (tmp_path / "program.py").write_text(textwrap.dedent(text))
    done = run((sys.executable, str(tmp_path / "program.py")))
    assert done.returncode == 1
    assert "RuntimeError: LookupError: " in done.stderr
    assert "in __aenter__\n    raise LookupError(Store())\n" in done.stderr


def test_port_in_use_is_said_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        done = run_command("echoscp", str(port), "-ba", "127.0.0.1", "--workers", "2")
    assert done.returncode == 1
    assert done.stderr.startswith(f"F: cannot listen on port {port} of 127.0.0.1: ")
    assert done.stderr.count("\n") == 1


async def test_server_of_several_workers_is_not_entered() -> None:
    with pytest.raises(RuntimeError, match="not entered, but run"):
        async with aiodicom.serve(port=0, workers=2):
            pass


@pytest.mark.parametrize(
    ("workers", "complaint"), [(0, "0 workers serve nobody"), (200, "200 workers need 419430400")]
)
def test_number_of_workers_that_cannot_be(workers: int, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        aiodicom.serve(port=0, workers=workers)


# How they end ------------------------------------------------------------------------------------


def begin(sender: Sender, receiver: Receiver) -> bytes:
    """Begin to store an object; return the PDUs that are still to be sent."""
    data = ct_dataset(UID, bytes(100_000))
    sender.send(command_pdu(store_command(UID)) + fragment(data[:16000]))
    receiver.wait_for_line("I: Received Store Request")
    return dataset_pdus(data[16000:])


def wait_closed(port: int) -> None:
    for _ in tries(f"port {port} still answers"):
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE):
                pass
        except ConnectionRefusedError:
            return


@pytest.mark.parametrize(
    ("number", "to"),
    [
        (signal.SIGTERM, "parent"),
        (signal.SIGINT, "parent"),
        (signal.SIGTERM, "parent-twice"),
        (signal.SIGINT, "group"),
    ],
)
def test_store_that_is_under_way_is_finished(
    tmp_path: Path, number: signal.Signals, to: str
) -> None:
    with (
        storing(tmp_path, prefix=("setsid",)) as receiver,
        senders(receiver.port, 4) as (sender, *idle),
    ):
        rest = begin(sender, receiver)
        if to == "group":
            os.killpg(receiver.process.pid, number)
        else:
            receiver.process.send_signal(number)
        if to == "parent-twice":  # as `timeout` does, which tells the process and its group
            receiver.wait_for_line("I: Stopping")
            receiver.process.send_signal(number)
        for each in idle:
            hear_abort(each)
        wait_closed(receiver.port)
        sender.send(rest)
        assert sender.status() == Status.SUCCESS
        hear_abort(sender)
        assert receiver.process.wait(PATIENCE) == 0
        assert not [line for line in receiver.lines if line[0] != "I"]
    assert os.listdir(tmp_path / "received") == [NAME]


STUCK = """
class Store:
    async def __call__(self, request):
        logging.info("Stuck")
        await asyncio.Event().wait()
"""


def test_second_signal_aborts_what_still_runs(tmp_path: Path) -> None:
    impatient = "\nimport aiodicom.workers.signals\naiodicom.workers.signals.ECHO = 0"
    serving = "\naiodicom.run(store=Store(), port=port, workers=2, grace=1000)"
    with program(tmp_path, STUCK + impatient + serving) as receiver:
        with senders(receiver.port, 1) as (sender,):
            sender.send(store_pdus(UID))
            receiver.wait_for_line("INFO: Stuck")
            pids = workers_of(receiver)
            receiver.process.send_signal(signal.SIGTERM)
            receiver.wait_for_line("INFO: Stopping: SIGTERM")
            receiver.process.send_signal(signal.SIGTERM)
            hear_abort(sender)
        assert receiver.process.wait(PATIENCE) == 0
        assert "WARNING: Hurrying: SIGTERM again" in receiver.lines
        assert "killed" not in receiver.log
        wait_gone(*pids)


def test_worker_that_outlasts_its_grace_is_killed(tmp_path: Path) -> None:
    text = """
    import aiodicom.workers.parent
    aiodicom.workers.parent.MORE_GRACE = 0.2
    class Store:
        async def __aenter__(self): pass
        async def __aexit__(self, *exc_info): time.sleep(1000)
    aiodicom.run(store=Store(), port=port, workers=2, grace=0)
    """
    with program(tmp_path, text) as receiver:
        pids = workers_of(receiver)
        assert receiver.stop() == 0
        assert receiver.log.count("is killed: it has not stopped") == 2
        wait_gone(*pids)


def test_worker_that_cannot_end_properly_is_the_error_that_run_raises(tmp_path: Path) -> None:
    text = """
    class Store:
        async def __aenter__(self): pass
        async def __aexit__(self, *exc_info): raise OSError("the disk is gone")
    try:
        aiodicom.run(store=Store(), port=port, workers=2)
    except OSError as error:
        logging.info("raised: %s", error)
    """
    with program(tmp_path, text) as receiver:
        assert receiver.stop() == 0
        assert receiver.lines[-1] == "INFO: raised: the disk is gone"


def test_workers_whose_parent_was_killed_finish_what_runs_and_end(tmp_path: Path) -> None:
    with storing(tmp_path) as receiver, one_each(receiver) as (idle, sender):
        pids = workers_of(receiver)
        rest = begin(sender, receiver)
        assert receiver.stop(signal.SIGKILL) == -9
        hear_abort(idle)
        wait_closed(receiver.port)
        sender.send(rest)
        assert sender.status() == Status.SUCCESS
        sender.socket.close()
        wait_gone(*pids)
        assert receiver.said.count("E: Stopping a worker: its parent process is gone") == 2
    assert os.listdir(tmp_path / "received") == [NAME]


def test_signal_before_all_workers_are_ready_ends_those_that_wait_too(tmp_path: Path) -> None:
    text = """
    class Store:
        async def __aenter__(self):
            try:
                os.mkdir("first")
            except FileExistsError:
                logging.info("Listening on port, almost")
                await asyncio.sleep(0.5)
        async def __aexit__(self, *exc_info):
            logging.info("left")
    aiodicom.run(store=Store(), port=port, workers=2, grace=0)
    """
    with program(tmp_path, text) as receiver:
        assert receiver.stop() == 0
        assert "INFO: Listening on port " not in receiver.log
        assert "killed" not in receiver.log
        assert receiver.lines.count("INFO: left") == 2


def test_program_goes_on_once_with_the_signals_that_it_had(tmp_path: Path) -> None:
    text = """
    import atexit, signal, sys
    sys.stdout = open("printed", "w")
    atexit.register(print, "at exit")
    before = [signal.getsignal(n) for n in (2, 15, 17)]
    print("before")  # waits to be written when the workers are forked
    aiodicom.run(port=port, workers=2)
    assert [signal.getsignal(n) for n in (2, 15, 17)] == before
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == set()
    assert signal.set_wakeup_fd(-1) == -1
    print("after")
    """
    with program(tmp_path, text) as receiver:
        assert receiver.stop() == 0
    assert (tmp_path / "printed").read_text().split("\n") == ["before", "after", "at exit", ""]


# Options -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ("-ss p", "--sort-conc-studies"),
        ("-sp", "--sort-on-patientname"),
        ("-su p -xcs true", "--exec-on-eostudy"),
        ("-su p -rns", "--rename-on-eostudy"),
        ("-su p -tos 3", "--eostudy-timeout"),
    ],
)
def test_ends_of_studies_are_for_one_worker(options: str, name: str) -> None:
    done = run_command("storescp", "11112", "--workers", "2", *options.split())
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"error: {name} not allowed with --workers 2: the associations")
    assert done.stderr.count("\n") == 1


def test_sorting_by_study_uid_is_for_several_workers(tmp_path: Path) -> None:
    with storing(tmp_path, "-su", "p") as receiver, senders(receiver.port, 2) as each:
        for number, sender in enumerate(each):
            uid = f"1.2.{number}"
            assert sender.store(uid, study_dataset(uid)) == Status.SUCCESS
            leave(sender)
        assert receiver.stop() == 0
        assert not [line for line in receiver.lines if "Study" in line]
    assert visible(tmp_path / "received" / "p_1.2.9") == ["CT.1.2.0", "CT.1.2.1"]
