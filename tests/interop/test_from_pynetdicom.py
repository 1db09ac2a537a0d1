"""docs/from-pynetdicom.md: what pynetdicom's programs do, and what ours do in their place.

Each pair of examples runs, is sent real objects by pynetdicom and by DCMTK, and does the same.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pynetdicom import AE

from aiodicom.wire.negotiation import VERIFICATION
from tests.certificates import Authority
from tests.interop.asking import ask
from tests.interop.samples import Sample, named, read
from tests.processes import PATIENCE, free_port, receiving, run, tries

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples" / "pynetdicom"
PAGE = ROOT / "docs" / "from-pynetdicom.md"

PAIRS = sorted(path.stem.removesuffix("_before") for path in EXAMPLES.glob("*_before.py"))

CT, MR = "CT_small.dcm", "MR_small.dcm"

WHEN = ("before", "after")


@dataclass
class Program:
    """An example that runs.

    Attributes
    ----------
    port : int
        Where it is, in place of the one that it names.
    folder : Path
        Where it runs.
    """

    port: int
    folder: Path
    process: subprocess.Popen[Any]

    @property
    def printed(self) -> list[str]:
        return (self.folder / "printed").read_text().splitlines()

    def has_printed(self, *lines: str) -> None:
        """Wait until it has printed these lines, in any order, and no others."""
        for _ in tries(f"not {lines}"):
            if len(self.printed) >= len(lines):
                break
        assert sorted(self.printed) == sorted(lines)


@contextlib.contextmanager
def program(name: str, folder: Path) -> Iterator[Program]:
    """Run an example on a free port, from when it listens."""
    port = free_port()
    text = (EXAMPLES / f"{name}.py").read_text(encoding="utf-8")
    assert text.count("11112") == 1
    (folder / f"{name}.py").write_text(text.replace("11112", str(port)))
    with (folder / "printed").open("wb") as printed, (folder / "errors").open("wb") as errors:
        process = subprocess.Popen(
            (sys.executable, f"{name}.py"),
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=printed,
            stderr=errors,
            text=True,
        )
    with process:
        try:
            wait_until_it_listens(process, port, folder / "errors")
            yield Program(port, folder, process)
        finally:
            process.kill()


def wait_until_it_listens(process: subprocess.Popen[Any], port: int, errors: Path) -> None:
    for _ in tries(f"nobody listens on port {port}"):
        assert process.poll() is None, errors.read_text()
        if is_listened_on(port):
            return
        time.sleep(0.03)  # all connections of the system are a long file


def is_listened_on(port: int) -> bool:
    """Look, without connecting: a connection could be one too many."""
    lines = Path("/proc/net/tcp").read_text().splitlines()
    return any(f":{port:04X} 00000000:0000 0A" in line for line in lines)


# Senders -----------------------------------------------------------------------------------------


def by_pynetdicom(
    port: int, name: str, *, calling: str = "CT1", called: str = "ARCHIVE", tls: Any = None
) -> str:
    """Echo and send an object; return what became of it."""
    dataset = read(named(name).path)
    ae = AE(calling)
    ae.add_requested_context(VERIFICATION)
    ae.add_requested_context(dataset.SOPClassUID, dataset.file_meta.TransferSyntaxUID)
    tls_args = (tls, "localhost") if tls else None
    association, rejection = ask(ae, port, ae_title=called, tls_args=tls_args)
    if rejection is not None:
        return "rejected {} {} {}".format(*rejection)
    assert association.is_established, f"aborted: {association.is_aborted}"
    agreed = [each.abstract_syntax for each in association.accepted_contexts]
    try:
        if VERIFICATION in agreed:
            assert association.send_c_echo().Status == 0
        if dataset.SOPClassUID not in agreed:
            return "not agreed on"
        status = association.send_c_store(dataset)
        return f"{status.Status:04x} {status.get('ErrorComment', '')}".strip()
    finally:
        association.release()


def by_dcmtk(
    port: int, name: str, *options: str, calling: str = "CT1", called: str = "ARCHIVE"
) -> str:
    """Send an object with DCMTK's storescu; return what became of it."""
    titles = ("-aet", calling, "-aec", called)
    done = run(("storescu", "-d", *titles, *options, "127.0.0.1", str(port), str(named(name).path)))
    log = done.stdout + done.stderr
    if "Association Rejected" in log:
        return " ".join(re.findall(r"F: (?:Result|Reason): .*", log))
    if "No presentation context" in log or "No Acceptable Presentation Contexts" in log:
        return "not agreed on"
    status = re.search(r"DIMSE Status +: 0x([0-9a-f]{4})", log)
    assert status, log
    comment = re.search(r"\(0000,0902\) LO \[(.*?)\]", log)
    return f"{status[1]} {comment[1] if comment else ''}".strip()


def by_both(port: int, name: str, **titles: str) -> list[str]:
    return [by_pynetdicom(port, name, **titles), by_dcmtk(port, name, **titles)]


# What is sent to each pair, and what becomes of it ------------------------------------------------


def storing(program: Program, folder: str = "received") -> None:
    for name in (CT, MR, "JPEG2000.dcm") if folder == "received" else (CT, MR):
        assert by_pynetdicom(program.port, name) == "0000"
        stored_is(program.folder / folder, named(name))
    assert by_dcmtk(program.port, CT) == "0000"
    stored_is(program.folder / folder, named(CT))


def stored_is(folder: Path, sample: Sample) -> None:
    """Check that an object is in a folder, under whatever name, and take it away."""
    (path,) = (p for p in folder.rglob("*.[dC0-9]*") if sample.sop_instance_uid in p.name)
    stored, sent = read(path), read(sample.path)
    assert stored.file_meta.TransferSyntaxUID == sample.transfer_syntax_uid
    for each in (stored, sent):  # DCMTK's sender leaves it out
        each.pop("DataSetTrailingPadding", None)
    assert stored == sent
    path.unlink()


def handler(program: Program) -> None:
    assert by_both(program.port, CT) == ["0000", "0000"]
    assert by_both(program.port, MR, calling="MR1") == ["0000", "0000"]
    ct, mr = f"CT1 CT {named(CT).sop_instance_uid}", f"MR1 MR {named(MR).sop_instance_uid}"
    program.has_printed(ct, ct, mr, mr)


def statuses(program: Program) -> None:
    assert by_both(program.port, CT) == ["0000", "0000"]
    assert by_both(program.port, MR) == ["b007", "b007"]
    refused = "0124 not from you"
    assert by_both(program.port, CT, calling="NOISY") == [refused, refused]


def echo(program: Program) -> None:
    assert by_pynetdicom(program.port, CT) == "not agreed on"
    done = run(("echoscu", "-aet", "CT2", "127.0.0.1", str(program.port)))
    assert done.returncode == 0, done.stderr
    program.has_printed("echo from CT1", "echo from CT2")


def associations(program: Program) -> None:
    assert by_pynetdicom(program.port, CT) == "not agreed on"
    assert by_pynetdicom(program.port, CT, calling="NOBODY") == "rejected 1 1 3"
    for words, code in (((), 0), (("--abort",), 0), (("-aet", "NOBODY"), 1)):
        title = () if "-aet" in words else ("-aet", "CT2")
        done = run(("echoscu", *title, *words, "127.0.0.1", str(program.port)))
        assert done.returncode == code, done.stderr
    of_ct2 = ("accepted CT2", "released CT2", "accepted CT2", "aborted CT2")
    program.has_printed("accepted CT1", "released CT1", *of_ct2)


def contexts(program: Program) -> None:
    assert by_both(program.port, CT) == ["0000", "0000"]
    assert by_both(program.port, MR) == ["not agreed on", "not agreed on"]
    assert by_pynetdicom(program.port, "JPEG2000.dcm") == "not agreed on"
    program.has_printed(*["1.2.840.10008.1.2.1"] * 2)


def chunks(program: Program) -> None:
    storing(program, folder=".")


def tls(program: Program) -> None:
    names = ("key.pem", "certificate.pem", "authority.pem")
    key, certificate, authority = (str(program.folder / name) for name in names)
    context = ssl.create_default_context(cafile=authority)
    context.load_cert_chain(certificate, key)
    assert by_pynetdicom(program.port, CT, tls=context) == "0000"
    assert by_dcmtk(program.port, CT, "+tls", key, certificate, "+cf", authority) == "0000"
    with pytest.raises(AssertionError):  # no association without TLS
        by_pynetdicom(program.port, CT)
    program.has_printed("over TLS", "over TLS")


def background(program: Program) -> None:
    assert by_both(program.port, CT) == ["0000", "0000"]
    program.has_printed("stored", "stored")
    program.process.communicate("\n", timeout=PATIENCE)
    assert program.process.returncode == 0
    assert not is_listened_on(program.port)


def limits(program: Program) -> None:
    permanent = "F: Result: Rejected Permanent, Source: Service User F: Reason: "
    for titles, expected in (
        ({}, ("0000", "0000")),
        ({"calling": "CT3"}, ("rejected 1 1 3", permanent + "Calling AE Title Not Recognized")),
        ({"called": "OTHER"}, ("rejected 1 1 7", permanent + "Called AE Title Not Recognized")),
    ):
        assert alone(by_pynetdicom, program.port, **titles) == expected[0]
        assert alone(by_dcmtk, program.port, **titles) == expected[1]
    ae = AE("CT2")
    ae.add_requested_context("1.2.840.10008.5.1.4.1.1.2")
    for _ in tries("the one before is still there"):
        first, _ = ask(ae, program.port, ae_title="ARCHIVE")
        if first.is_established:
            break
    assert by_pynetdicom(program.port, CT) == "rejected 2 3 2"
    assert first.acceptor.maximum_length == 65536
    first.release()


def alone(send: Callable[..., str], port: int, **titles: str) -> str:
    """Send until there is room: pynetdicom counts an association until its thread has ended."""
    for _ in tries("the one before is still there"):
        outcome = send(port, CT, **titles)
        if "2 3 2" not in outcome and "Transient" not in outcome:
            return outcome
    raise AssertionError


SENT: dict[str, Callable[[Program], None]] = {
    "associations": associations,
    "background": background,
    "chunks": chunks,
    "contexts": contexts,
    "echo": echo,
    "handler": handler,
    "limits": limits,
    "statuses": statuses,
    "storing": storing,
    "tls": tls,
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where an example runs, with what it needs."""
    (within := tmp_path / "folder").mkdir()
    own = Authority(tmp_path).issue()
    shutil.copy(own.key, within / "key.pem")
    shutil.copy(own.certificate, within / "certificate.pem")
    shutil.copy(own.authority, within / "authority.pem")
    shutil.copy(named(CT).path, within / "image.dcm")
    return within


@pytest.mark.dcmtk
@pytest.mark.parametrize("when", WHEN)
@pytest.mark.parametrize("name", SENT)
def test_both_do_the_same(name: str, when: str, folder: Path) -> None:
    with program(f"{name}_{when}", folder) as running:
        SENT[name](running)


@pytest.mark.parametrize("when", WHEN)
def test_both_send_the_same(when: str, folder: Path, tmp_path: Path) -> None:
    (received := tmp_path / "to").mkdir()
    with receiving("storescp", "-v", "-od", "received", folder=received) as receiver:
        text = (EXAMPLES / f"sending_{when}.py").read_text(encoding="utf-8")
        (folder / "sending.py").write_text(text.replace("11112", str(receiver.port)))
        done = run((sys.executable, "sending.py"), cwd=folder)
        receiver.wait_for_line("I: Association Released")
    assert (done.stdout, done.stderr) == ("echo: 0000\nimage.dcm: 0000\n", "")
    stored_is(received / "received", named(CT))
    done = run((sys.executable, "sending.py"), cwd=folder)
    assert (done.stdout, done.returncode) == ("", 1)


@pytest.mark.dcmtk
@pytest.mark.parametrize("module", ["pynetdicom storescp", "aiodicom.storescp"])
def test_both_commands_do_the_same(module: str, folder: Path) -> None:
    port = free_port()
    command = (sys.executable, "-m", *module.split(), str(port), "-ba", "127.0.0.1", "-od", "kept")
    with (
        (folder / "errors").open("wb") as errors,
        subprocess.Popen(command, cwd=folder, stderr=errors) as process,
    ):
        try:
            wait_until_it_listens(process, port, folder / "errors")
            storing(Program(port, folder, process), folder="kept")
        finally:
            process.kill()


# The page ----------------------------------------------------------------------------------------


def test_every_pair_is_there_and_is_tried() -> None:
    files = {path.name for path in EXAMPLES.glob("*.py")}
    assert files == {f"{name}_{when}.py" for name in PAIRS for when in WHEN}
    assert {*SENT, "sending"} == set(PAIRS)


def test_the_page_shows_the_files_as_they_are() -> None:
    shown = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    files = [EXAMPLES / f"{name}_{when}.py" for name in PAIRS for when in WHEN]
    assert sorted(shown) == sorted(path.read_text(encoding="utf-8") for path in files)
