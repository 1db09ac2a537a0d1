"""Options of the receiving commands, against DCMTK's and pynetdicom's senders and receivers."""

from __future__ import annotations

import contextlib
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from aiodicom.wire.items import ProposedContext, RoleSelection
from aiodicom.wire.negotiation import EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE, VERIFICATION
from aiodicom.wire.pdu import AssociateAccept
from tests.certificates import Authority
from tests.interop.samples import Sample, named, read
from tests.peer import CT, association_request
from tests.processes import (
    PATIENCE,
    Receiver,
    Sender,
    dataset_of,
    free_port,
    receiving,
    run,
    run_module,
    tries,
    unfinished,
    visible,
)

pytestmark = pytest.mark.dcmtk

NAMES = ("CT_small.dcm", "MR_small.dcm", "SC_rgb_rle.dcm", "JPEG2000.dcm")
MR = "1.2.840.10008.5.1.4.1.1.4"
FIND = "1.2.840.10008.5.1.4.1.2.1.1"


def sent_by(command: str, receiver: Receiver, *arguments: str | Path) -> tuple[int, str]:
    """Run a sender of DCMTK's; return its exit code and what it says."""
    done = run([command, "-v", "127.0.0.1", str(receiver.port), *map(str, arguments)])
    return done.returncode, done.stderr


def same(path: Path, sent: Sample) -> bool:
    """Tell whether a file is an object that DCMTK has sent: it drops padding, and says so."""
    stored, before = read(path), read(sent.path)
    for dataset in (stored, before):
        if "DataSetTrailingPadding" in dataset:
            del dataset.DataSetTrailingPadding
    return bool(stored == before)


def files(folder: Path) -> list[Path]:
    return sorted(
        path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".")
    )


# dcmrecv ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [(), ("-xf", "storescp.cfg", "Default"), ("+B",)])
def test_dcmsend_to_dcmrecv(tmp_path: Path, options: tuple[str, ...]) -> None:
    samples = [named(name) for name in NAMES]
    with receiving("dcmrecv", *options, folder=tmp_path) as receiver:
        code, log = sent_by("dcmsend", receiver, "-dn", *(one.path for one in samples))
    assert code == 0, log
    assert visible(tmp_path) == sorted(one.stored_as for one in samples)
    assert not unfinished(tmp_path)
    for one in samples:
        assert same(tmp_path / one.stored_as, one)


def test_dcmsend_to_dcmrecv_with_folders_and_short_names(tmp_path: Path) -> None:
    samples = [named(name) for name in NAMES]
    options = ("+ssd", "+fsu", "-fe", ".dcm", "+B")
    with receiving("dcmrecv", *options, folder=tmp_path) as receiver:
        code, log = sent_by("dcmsend", receiver, "-dn", *(one.path for one in samples))
    assert code == 0, log
    stored = {read(path).SOPInstanceUID: path for path in files(tmp_path)}
    assert set(stored) == {one.sop_instance_uid for one in samples}
    for one in samples:
        path, date = stored[one.sop_instance_uid], read(one.path).get("SeriesDate")
        folder = path.parent.relative_to(tmp_path)
        assert re.fullmatch(r"[A-Z]+_[0-9a-f]{16}\.dcm", path.name)
        if date:
            assert str(folder) == f"data/{date[:4]}/{date[4:6]}/{date[6:]}"
        else:
            assert re.fullmatch(r"undef/\d{8}", str(folder))


def test_pynetdicom_s_storescu_to_dcmrecv(tmp_path: Path) -> None:
    one = named("CT_small.dcm")
    with receiving("dcmrecv", "+fu", folder=tmp_path) as receiver:
        for _ in range(2):
            words = ("127.0.0.1", str(receiver.port), "-cx", str(one.path))
            assert run_module("pynetdicom", "storescu", *words).returncode == 0
    assert len(visible(tmp_path)) == 2
    assert all(dataset_of(path) == one.data for path in files(tmp_path))


def test_a_profile_without_verification_rejects_dcmtk_s_echoscu(tmp_path: Path) -> None:
    (tmp_path / "a.cfg").write_text(PROFILE.format(role="SCU").replace("VerificationSOPClass", MR))
    with receiving("dcmrecv", "-xf", "a.cfg", "mine", folder=tmp_path) as receiver:
        code, log = sent_by("echoscu", receiver)
    assert code == 1
    assert "Result: Rejected Permanent, Source: Service User" in log


# storescp -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ct() -> Sample:
    return named("CT_small.dcm")


@pytest.mark.parametrize(
    ("option", "code", "says"),
    [
        ("--refuse", 1, "Result: Rejected Permanent, Source: Service User"),
        ("--abort-after", 10, "Peer Aborted Association"),
        ("--abort-during", 10, "Peer Aborted Association"),
        ("--ignore", 0, "Received Store Response (Success)"),
        ("--reject", 0, "Received Store Response (Success)"),
    ],
)
def test_dcmtk_s_storescu_is_tried(
    tmp_path: Path, ct: Sample, option: str, code: int, says: str
) -> None:
    with receiving("storescp", option, folder=tmp_path) as receiver:
        done, log = sent_by("storescu", receiver, ct.path)
    assert (done, says in log) == (code, True), log
    assert visible(tmp_path) == ([ct.stored_as] if option == "--reject" else [])


def test_a_study_s_files_and_its_command(tmp_path: Path, ct: Sample) -> None:
    options = ("-su", "S", "-rns", "-xcs", "touch ended", "-tos", "1", "-xcr", "touch #f.seen")
    with receiving("storescp", *options, folder=tmp_path) as receiver:
        code, log = sent_by("storescu", receiver, ct.path)
        assert code == 0, log
        for _ in tries("the study does not end"):
            if (tmp_path / "ended").exists():
                break
    study = read(ct.path).StudyInstanceUID
    assert same(tmp_path / f"S_{study}" / "CT000001", ct)
    assert (tmp_path / f"{ct.stored_as}.seen").exists()


def test_dcmtk_s_storescu_behind_tls(tmp_path: Path, ct: Sample) -> None:
    authority = Authority(tmp_path)
    ours, theirs = authority.issue("127.0.0.1"), authority.issue("sender")
    trust = ("+cf", str(authority.certificate))
    own = ("+tls", str(ours.key), str(ours.certificate), *trust)
    folder = tmp_path / "received"
    with receiving("storescp", "-od", "received", *own, folder=tmp_path) as receiver:
        named_files = ("+tls", theirs.key, theirs.certificate, *trust, ct.path)
        code, log = sent_by("storescu", receiver, *named_files)
        assert code == 0, log
        without = ("+tla", *trust, ct.path)
        assert sent_by("storescu", receiver, *without)[0] == 1
        assert "W: No TLS connection with 127.0.0.1: it shows no certificate" in (receiver.lines)
    assert same(folder / ct.stored_as, ct)


# What is agreed to, beside DCMTK's storescp -------------------------------------------------------

PROFILE = """
[[TransferSyntaxes]]
[List]
TransferSyntax1 = JPEGLossless:Non-hierarchical-1stOrderPrediction
TransferSyntax2 = LittleEndianImplicit
TransferSyntax3 = LittleEndianExplicit
[[PresentationContexts]]
[Contexts]
PresentationContext1 = VerificationSOPClass\\List
PresentationContext2 = CTImageStorage\\List
[[SCPSCURoleSelection]]
[Roles]
Role1 = CTImageStorage\\{role}
[[ExtendedNegotiation]]
[Extended]
ExtendedNegotiation1 = CTImageStorage\\0102ff
[[Profiles]]
[Mine]
PresentationContexts = Contexts
SCPSCURoleSelection = Roles
ExtendedNegotiation = Extended
"""

COMPRESSED = tuple(f"1.2.840.10008.1.2.4.{n}" for n in (91, 90, 51, 50, 70, 81, 80, 100, 103))
PROPOSALS = (
    ProposedContext.of(1, VERIFICATION, IMPLICIT_LITTLE),
    ProposedContext.of(3, CT, IMPLICIT_LITTLE, EXPLICIT_BIG, EXPLICIT_LITTLE),
    ProposedContext.of(5, CT, IMPLICIT_LITTLE, *COMPRESSED, EXPLICIT_BIG),
    ProposedContext.of(7, CT, *reversed(COMPRESSED)),
    ProposedContext.of(9, MR, EXPLICIT_BIG),
    ProposedContext.of(11, FIND, IMPLICIT_LITTLE),
    ProposedContext.of(12, CT, EXPLICIT_LITTLE),
)


@contextlib.contextmanager
def dcmtk_s_storescp(folder: Path, *options: str) -> Iterator[int]:
    """Run DCMTK's storescp; its port."""
    port = free_port()
    process = subprocess.Popen(
        ("storescp", *options, str(port)), cwd=folder, stderr=subprocess.DEVNULL
    )
    try:
        for _ in tries("DCMTK's storescp does not listen"):
            with contextlib.suppress(ConnectionRefusedError), Sender(port) as sender:
                sender.associate()
                sender.release()
                break
        yield port
    finally:
        process.kill()
        process.wait(PATIENCE)


def agreed(port: int, roles: tuple[int, int] | None) -> tuple[object, ...]:
    """What a receiver makes of the proposals."""
    more = () if roles is None else (RoleSelection(CT, *roles),)
    with Sender(port) as sender:
        sender.send(association_request(PROPOSALS, more=more))
        accept = sender.receive()
        sender.release()
    assert isinstance(accept, AssociateAccept)
    contexts = {
        c.context_id: (c.result, None if c.result else c.transfer_syntax)
        for c in accept.presentation_contexts
    }
    described = {repr(item) for item in accept.user_items if getattr(item, "sop_class_uid", "")}
    return contexts, described


@pytest.mark.parametrize("option", ["+x=", "+xb", "+xi", "+xs", "+xr", "+xd"])
def test_preferences_are_dcmtk_s(tmp_path: Path, option: str) -> None:
    with (
        receiving("storescp", option, "--ignore", folder=tmp_path) as ours,
        dcmtk_s_storescp(tmp_path, option, "--ignore") as port,
    ):
        assert agreed(ours.port, None) == agreed(port, None)


@pytest.mark.parametrize("role", ["SCU", "SCP", "BOTH"])
def test_profiles_mean_what_they_mean_to_dcmtk(tmp_path: Path, role: str) -> None:
    (tmp_path / "a.cfg").write_text(PROFILE.format(role=role))
    options = ("-xf", "a.cfg", "Mine", "--ignore")
    with (
        receiving("storescp", *options, folder=tmp_path) as ours,
        dcmtk_s_storescp(tmp_path, *options) as port,
    ):
        for proposed in (None, (1, 0), (1, 1), (0, 1)):
            if (role, proposed) != ("SCP", (1, 0)):  # which DCMTK accepts without any role
                assert agreed(ours.port, proposed) == agreed(port, proposed), proposed
