"""storescu: what it proposes and sends, and how it ends."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
from pathlib import Path

import pytest

import aiodicom
from aiodicom.cli.proposals import USUAL_CLASSES
from aiodicom.wire.dimse import Status
from aiodicom.wire.items import (
    AsynchronousOperationsWindow,
    UserIdentity,
    UserIdentityResponse,
)
from aiodicom.wire.negotiation import EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE
from aiodicom.wire.pdu import AssociateReject
from tests.commands.sending import Recorder, answered, recorded, refused, run
from tests.peer import CT
from tests.processes import free_port
from tests.scripted_acceptor import MR, Acceptor, Caller, dataset, dataset_in, write_object
from tests.serving import serving

Capture = pytest.CaptureFixture[str]

JPEG_LOSSLESS = "1.2.840.10008.1.2.4.70"
ELE, EBE, ILE = EXPLICIT_LITTLE, EXPLICIT_BIG, IMPLICIT_LITTLE


@pytest.fixture
def ct(tmp_path: Path) -> Path:
    return write_object(tmp_path, "1.2.3", 2000)


def lines(capfd: Capture) -> list[str]:
    out, err = capfd.readouterr()
    assert out == ""
    return err.splitlines()


# What is sent -------------------------------------------------------------------------------------


async def test_files_go_byte_for_byte_and_in_order(tmp_path: Path) -> None:
    paths = [write_object(tmp_path, f"1.2.{n}", 500 + 2 * n) for n in (3, 1, 2)]
    recorder = await recorded(*paths)
    assert recorder.uids == ["1.2.3", "1.2.1", "1.2.2"]
    assert [received.data for received in recorder.objects] == [dataset_in(p) for p in paths]


async def test_a_folder_is_its_files_by_name(tmp_path: Path) -> None:
    for uid in ("1.2.2", "1.2.1"):
        write_object(tmp_path, uid)
    below = tmp_path / "below"
    below.mkdir()
    write_object(below, "1.2.3")
    assert (await recorded(tmp_path)).uids == ["1.2.1", "1.2.2"]
    assert (await recorded(tmp_path, "+sd", "--no-recurse")).uids == ["1.2.1", "1.2.2"]
    for recurse in ("-r", "+r", "--recurse"):
        assert (await recorded(tmp_path, recurse)).uids == ["1.2.1", "1.2.2", "1.2.3"]
    assert (await recorded(tmp_path, "+sd", "+sp", "*2.dcm")).uids == ["1.2.2"]


async def test_forms_of_files(tmp_path: Path, ct: Path) -> None:
    bare = tmp_path / "bare"
    bare.write_bytes(dataset("1.2.4"))
    assert (await recorded(ct, bare)).uids == ["1.2.3", "1.2.4"]
    assert (await recorded("+f", ct, bare)).uids == ["1.2.3", "1.2.4"]
    assert (await recorded("-f", bare)).uids == ["1.2.4"]
    assert await run(1, "+fo", bare) == 1  # and nobody is asked
    assert await run(1, "-f", ct) == 1


async def test_a_file_that_was_cut_off_is_named(tmp_path: Path, ct: Path, capfd: Capture) -> None:
    cut = write_object(tmp_path, "1.2.4", 500)
    os.truncate(cut, cut.stat().st_size - 100)
    recorder = Recorder()
    assert await answered(recorder, "-nh", cut, ct) == 1
    assert recorder.uids == ["1.2.3"]
    why = "it was cut off: (7FE0,0010) is longer than the dataset"
    assert lines(capfd)[0] == f"E: Store Failed, file: {cut}: {why}"
    assert await run(1, cut, ct) == 1  # and nobody is asked


async def test_repeat(ct: Path) -> None:
    assert (await recorded("--repeat", "3", ct)).uids == ["1.2.3"] * 3


async def test_rename(tmp_path: Path) -> None:
    good, bad = write_object(tmp_path, "1.2.3"), tmp_path / "bad"
    bad.write_bytes(b"no object")
    recorder = Recorder(Status.OUT_OF_RESOURCES)
    second = write_object(tmp_path, "1.2.4")
    assert await answered(recorder, "+rn", "-nh", good, second, bad) == 1
    assert set(os.listdir(tmp_path)) == {"1.2.3.dcm.bad", "1.2.4.dcm.done", "bad.bad"}


async def test_without_rename_nothing_is_touched(tmp_path: Path, ct: Path) -> None:
    await recorded("+rn", "-rn", ct)
    assert os.listdir(tmp_path) == ["1.2.3.dcm"]


async def test_jobs(tmp_path: Path) -> None:
    together = asyncio.Barrier(3)
    came: list[int] = []

    async def store(request: aiodicom.StoreRequest) -> int:
        request.dataset.discard()
        came.append(request.association.number)
        if len(came) <= 3:
            async with asyncio.timeout(10):
                await together.wait()  # three at a time, or never
        return Status.SUCCESS

    for number in range(9):
        write_object(tmp_path, f"1.2.{number}")
    async with serving(store=store) as server:
        assert await run(server.port, tmp_path, "--jobs", "3", "-nh") == 0
    assert len(came) == 9
    assert len(set(came)) == 3


# Titles, limits, identity -------------------------------------------------------------------------


async def test_ae_titles(ct: Path) -> None:
    (request,) = (await recorded(ct)).requests
    assert (request.calling_ae_title, request.called_ae_title) == ("STORESCU", "ANY-SCP")
    for us, them in (("-aet", "-aec"), ("--calling-aet", "--called-aet"), ("--aetitle", "--call")):
        (request,) = (await recorded(ct, us, "ME", them, "YOU")).requests
        assert (request.calling_ae_title, request.called_ae_title) == ("ME", "YOU")


async def test_lengths_of_pdus(tmp_path: Path) -> None:
    path = write_object(tmp_path, "1.2.3", 30_000)
    recorder = await recorded(path)
    assert recorder.requests[0].maximum_length == 16384
    assert max(len(pdv.data) for pdv in recorder.objects[0].pdvs) == 16384 - 6
    recorder = await recorded(path, "-pdu", "0", "--max-send-pdu", "4096")
    assert recorder.requests[0].maximum_length == 0
    assert max(len(pdv.data) for pdv in recorder.objects[0].pdvs) == 4096 - 6


async def test_window(ct: Path) -> None:
    def window(recorder: Recorder) -> AsynchronousOperationsWindow | None:
        return recorder.requests[0].user_item(AsynchronousOperationsWindow)

    assert window(await recorded(ct)) is None  # halting, one after the other
    assert window(await recorded(ct, "-nh")) == AsynchronousOperationsWindow(8, 1)
    assert window(await recorded(ct, "--window", "3")) == AsynchronousOperationsWindow(3, 1)
    assert window(await recorded(ct, "-nh", "--window", "1")) is None


async def test_user_identity(tmp_path: Path, ct: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"\0ticket")

    async def identity(*options: str) -> UserIdentity | None:
        return (await recorded(ct, *options)).requests[0].user_item(UserIdentity)

    assert await identity() is None
    assert await identity("-usr", "jo") == UserIdentity(1, 0, b"jo")
    assert await identity("-usr", "jo", "-pwd", "pw") == UserIdentity(2, 0, b"jo", b"pw")
    assert await identity("-usr", "jo", "-epw") == UserIdentity(2, 0, b"jo", b"")
    assert await identity("-kt", str(secret)) == UserIdentity(3, 0, b"\0ticket")
    assert await identity("--saml", str(secret)) == UserIdentity(4, 0, b"\0ticket")
    assert await identity("--jwt", str(secret)) == UserIdentity(5, 0, b"\0ticket")


async def test_positive_response_is_waited_for(ct: Path, capfd: Capture) -> None:
    confirmed = Recorder()

    async def confirming(caller: Caller) -> None:
        request = await caller.accept(16384, UserIdentityResponse(b""))
        assert request.user_item(UserIdentity) == UserIdentity(1, 1, b"jo")
        confirmed.objects += await caller.serve()

    async def silent(caller: Caller) -> None:
        await caller.accept()
        await caller.aborted()

    assert await answered(confirming, ct, "-usr", "jo", "-rsp") == 0
    assert confirmed.uids == ["1.2.3"]
    assert await answered(silent, ct, "-usr", "jo", "-rsp") == 1
    assert (
        lines(capfd)[0]
        == "F: Association Request Failed: the peer has not confirmed the user identity"
    )


# What is proposed ---------------------------------------------------------------------------------


async def test_usual_classes_are_proposed_twice_each_up_to_128(ct: Path) -> None:
    recorder = await recorded(ct)
    assert recorder.proposed(CT) == [(ELE,), (EBE, ILE)]
    assert len(recorder.contexts) == 2 * len(USUAL_CLASSES)
    for abstract in USUAL_CLASSES:
        assert recorder.proposed(abstract) == [(ELE,), (EBE, ILE)]


@pytest.mark.parametrize("option", ["-R", "--required", "-cx", "--required-contexts"])
async def test_required_contexts_only(tmp_path: Path, option: str) -> None:
    write_object(tmp_path, "1.2.3")
    write_object(tmp_path, "1.2.4", sop_class=MR, transfer_syntax=JPEG_LOSSLESS)
    recorder = await recorded(tmp_path, option)
    assert [c.abstract_syntax for c in recorder.contexts] == [CT, CT, MR]
    assert recorder.proposed(MR) == [(JPEG_LOSSLESS,)]


async def test_combined_contexts(ct: Path) -> None:
    recorder = await recorded(ct, "+C")
    assert recorder.proposed(CT) == [(ELE, EBE, ILE)]
    assert recorder.proposed(MR) == [(ELE, EBE, ILE)]
    recorder = Recorder()
    assert await answered(recorder, ct, "+C", "-xs") == 1  # which takes the first: lossless
    assert recorder.proposed(CT) == [(JPEG_LOSSLESS, ELE, EBE, ILE)]


@pytest.mark.parametrize(
    ("option", "lists"),
    [
        ("-x=", [(ELE,), (EBE, ILE)]),
        ("-xe", [(ELE,), (EBE, ILE)]),
        ("--request-little", [(ELE,), (EBE, ILE)]),
        ("-xb", [(EBE,), (ELE, ILE)]),
        ("--request-big", [(EBE,), (ELE, ILE)]),
        ("-xi", [(ILE,)]),
        ("--request-implicit", [(ILE,)]),
        ("-xs", [(JPEG_LOSSLESS,), (ELE, EBE, ILE)]),
        ("-xy", [("1.2.840.10008.1.2.4.50",), (ELE, EBE, ILE)]),
        ("-xx", [("1.2.840.10008.1.2.4.51",), (ELE, EBE, ILE)]),
        ("-xv", [("1.2.840.10008.1.2.4.90",), (ELE, EBE, ILE)]),
        ("-xw", [("1.2.840.10008.1.2.4.91",), (ELE, EBE, ILE)]),
        ("-xt", [("1.2.840.10008.1.2.4.80",), (ELE, EBE, ILE)]),
        ("-xu", [("1.2.840.10008.1.2.4.81",), (ELE, EBE, ILE)]),
        ("-xr", [("1.2.840.10008.1.2.5",), (ELE, EBE, ILE)]),
        ("-xd", [("1.2.840.10008.1.2.1.99",), (ELE, EBE, ILE)]),
    ],
)
async def test_proposals(ct: Path, option: str, lists: list[tuple[str, ...]]) -> None:
    recorder = await recorded(ct, option)
    assert recorder.proposed(CT) == lists
    assert recorder.proposed(MR) == lists


@pytest.mark.parametrize(
    ("option", "tail"),
    [
        ("-xm", "100"),
        ("-xh", "101"),
        ("-xn", "102"),
        ("-xl", "103"),
        ("-x2", "104"),
        ("-x3", "105"),
        ("-xo", "106"),
        ("-x4", "107"),
        ("-x5", "108"),
    ],
)
async def test_proposals_of_videos_stand_alone(tmp_path: Path, option: str, tail: str) -> None:
    syntax = f"1.2.840.10008.1.2.4.{tail}"
    path = write_object(tmp_path, "1.2.3", transfer_syntax=syntax)
    assert (await recorded(path, option)).proposed(CT) == [(syntax,)]


async def test_what_does_not_fit_the_proposal_is_reported(tmp_path: Path, capfd: Capture) -> None:
    path = write_object(tmp_path, "1.2.3", transfer_syntax=JPEG_LOSSLESS)
    recorder = Recorder()
    assert await answered(recorder, "-xe", path) == 1
    assert recorder.uids == []
    reason = "it is JPEG Lossless, .*, which was not proposed for CT Image Storage"
    assert re.search(reason, "\n".join(lines(capfd)))


async def test_profile(tmp_path: Path, ct: Path) -> None:
    profile = tmp_path / "own.cfg"
    profile.write_text(
        "[[TransferSyntaxes]]\n[Two]\nTransferSyntax1 = LittleEndianImplicit\n"
        "TransferSyntax2 = LittleEndianExplicit\n[[PresentationContexts]]\n[One]\n"
        "PresentationContext1 = CTImageStorage\\Two\n"
        "[[Profiles]]\n[Mine]\nPresentationContexts = One\n"
    )
    recorder = await recorded(ct, "-xf", profile, "mine")
    assert [c.transfer_syntaxes for c in recorder.contexts] == [(ILE, ELE)]
    recorder = await recorded(ct, "-xf", "storescu.cfg", "Default")
    assert len(recorder.contexts) > 100
    assert await run(1, ct, "-xf", profile, "other") == 1


# How it ends --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("status", "code"), [(0xA700, 167), (0xA900, 169), (0xC000, 192)])
async def test_a_refused_object_is_the_exit_code(
    tmp_path: Path, ct: Path, capfd: Capture, status: int, code: int
) -> None:
    write_object(tmp_path, "1.2.4")
    assert await refused([tmp_path], status) == code
    first, *rest = [line for line in lines(capfd) if line.startswith("E: ")]
    assert first == f"E: Store Failed, file: {ct}: 0x{status:04X}: no room"
    assert rest[-1] == "E:   1: not sent after that"
    assert await refused([tmp_path, "-nh"], status) == code
    assert lines(capfd)[-1] == f"E:   2: 0x{status:04X}: no room"


async def test_no_halt_tries_everything_and_the_first_failure_counts(tmp_path: Path) -> None:
    for number in range(3):
        write_object(tmp_path, f"1.2.{number}")
    recorder = Recorder(Status.SUCCESS, 0xA700, 0xC000)
    assert await answered(recorder, tmp_path, "--halt", "--no-halt") == 167
    assert recorder.uids == ["1.2.0", "1.2.1", "1.2.2"]
    recorder = Recorder(Status.SUCCESS, 0xA700, 0xC000)
    assert await answered(recorder, tmp_path, "--no-halt", "--halt") == 167
    assert recorder.uids == ["1.2.0", "1.2.1"]


async def test_a_warning_is_stored(ct: Path, capfd: Capture) -> None:
    assert await answered(Recorder(0xB007), ct) == 0
    assert lines(capfd) == [f"W: Stored with a warning, file: {ct}: 0xB007"]


async def test_abort_instead_of_release(ct: Path) -> None:
    async def script(caller: Caller) -> None:
        await caller.accept()
        await caller.respond(await caller.store())
        await caller.aborted()

    assert await answered(script, ct, "--abort") == 0


async def test_an_association_that_ends_in_the_middle(ct: Path, capfd: Capture) -> None:
    async def script(caller: Caller) -> None:
        await caller.accept()
        await caller.store_begun()
        caller.cut()

    assert await answered(script, ct) == 10
    assert re.match(rf"E: Store Failed, file: {ct}: the connection is lost", lines(capfd)[0])


async def test_nobody_there(ct: Path, capfd: Capture) -> None:
    port = free_port()
    assert await run(port, ct) == 1
    expected = (
        f"F: Association Request Failed: cannot connect to 127.0.0.1:{port}: Connection refused"
    )
    assert lines(capfd) == [expected]


async def test_rejected(ct: Path, capfd: Capture) -> None:
    async def script(caller: Caller) -> None:
        await caller.asked()
        await caller.send(AssociateReject(1, 1, 7))
        await caller.closed()

    assert await answered(script, ct) == 1
    (line,) = lines(capfd)
    assert line == "F: Association Rejected: rejected-permanent: called AE title not recognized"


async def test_unusable_files_before_anybody_is_asked(
    tmp_path: Path, ct: Path, capfd: Capture
) -> None:
    assert await run(1, ct, tmp_path / "none") == 1
    assert lines(capfd)[0].endswith("none: cannot be read: No such file or directory")
    (tmp_path / "text").write_text("hello")
    recorder = Recorder()
    assert await answered(recorder, "-nh", tmp_path / "text", ct) == 1
    assert recorder.uids == ["1.2.3"]


async def test_no_file_at_all(tmp_path: Path, capfd: Capture) -> None:
    assert await run(1, tmp_path) == 1
    assert lines(capfd) == ["F: no input files to be sent"]


# Deadlines ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("option", ["-td", "-tn", "-ts"])
async def test_deadline_of_a_response(ct: Path, capfd: Capture, option: str) -> None:
    async def script(caller: Caller) -> None:
        await caller.accept()
        await caller.store()
        await caller.ended()

    assert await answered(script, ct, option, "0.1") == 10
    assert any("no response within 0.1 s" in line for line in lines(capfd))


async def test_deadline_of_the_association(ct: Path, capfd: Capture) -> None:
    async def script(caller: Caller) -> None:
        await caller.asked()
        await caller.ended()

    assert await answered(script, ct, "-ta", "0.1") == 1
    assert lines(capfd) == ["F: Association Request Failed: no answer to our request within 0.1 s"]


async def test_deadline_of_the_connection(ct: Path, capfd: Capture) -> None:
    with contextlib.ExitStack() as stack:  # whose backlog is full: a connection is never made
        import socket

        full = stack.enter_context(socket.socket())
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        for _ in range(3):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(("127.0.0.1", port))
        assert await run(port, ct, "-to", "0.2") == 1
    assert lines(capfd) == [
        f"F: Association Request Failed: no connection to 127.0.0.1:{port} within 0.2 s"
    ]


# What it says -------------------------------------------------------------------------------------


async def test_verbose(ct: Path, capfd: Capture) -> None:
    await recorded(ct, "-v")
    assert lines(capfd) == [
        "I: Requesting Association",
        "I: Association Accepted (Max Send PDV: 16384)",
        f"I: Sending file: {ct}",
        "I: Received Store Response (Status: 0x0000 - Success)",
        "I: Releasing Association",
    ]


@pytest.mark.parametrize("option", [("--jobs", "2"), ("--window", "2")])
async def test_responses_name_files_where_several_are_on_their_way(
    tmp_path: Path, capfd: Capture, option: tuple[str, str]
) -> None:
    paths = [write_object(tmp_path, f"1.2.{number}") for number in range(3)]
    async with serving(store=ignored, window=2) as server:
        assert await run(server.port, "-v", *option, tmp_path) == 0
    said = [line for line in lines(capfd) if "Response" in line]
    start = "I: Received Store Response (Status: 0x0000 - Success), file: "
    assert sorted(said) == [f"{start}{path}" for path in paths]


async def ignored(request: aiodicom.StoreRequest) -> int:
    request.dataset.discard()
    return Status.SUCCESS


async def test_contexts_are_shown(ct: Path, capfd: Capture) -> None:
    await recorded(ct, "+v", "-R")
    said = lines(capfd)
    assert "I:   Context ID:        1 (Proposed)" in said
    assert "I:   Context ID:        1 (Accepted)" in said


async def test_quiet(ct: Path, capfd: Capture) -> None:
    assert await refused([ct, "-q"], 0xA700) == 167
    assert await run(free_port(), "-q", ct) == 1
    assert lines(capfd) == []


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("+sp *.dcm", "--scan-pattern only allowed with --scan-directories"),
        ("-xf f p -xs", "--config-file not allowed with --propose-lossless"),
        ("-xf f p -R", "--config-file not allowed with --required"),
        ("+cl 3", "--compression-level only allowed with --propose-deflated or --config-file"),
        ("+cl 10 -xd", "option +cl: 10 is not 0 to 9"),
        ("-pwd x", "--password only allowed with --user"),
        ("-rsp", "--pos-response only allowed with --user or --kerberos or --saml or --jwt"),
        ("-usr jo -kt f", "--user not allowed with --kerberos"),
        ("--jobs 0", "option --jobs: 0 is not 1 to 1000"),
        ("-pdu 4095", "option -pdu: 4095 is not 0 (no limit) or 4096 and more bytes"),
        ("+IR 0", "option +IR: 0 is not 1 or more"),
        ("-ic", "--ignore-peer-cert only allowed with --enable-tls or --anonymous-tls"),
    ],
)
async def test_wrong_command_lines(ct: Path, capfd: Capture, line: str, complaint: str) -> None:
    assert await run(1, ct, *line.split()) == 1
    assert lines(capfd) == [f"error: {complaint}; see python -m aiodicom.storescu --help"]


async def test_names_of_files_stay_on_their_line(tmp_path: Path, capfd: Capture) -> None:
    path = write_object(tmp_path, "1.2.3").rename(tmp_path / "a\nE: forged\x1b[31m")
    recorder = Recorder(0xA700)
    assert await answered(recorder, "-v", path) == 167
    assert not any(line.startswith("E: forged") for line in lines(capfd))


async def test_rename_replaces_nothing(tmp_path: Path, ct: Path, capfd: Capture) -> None:
    (tmp_path / "1.2.3.dcm.done").write_text("somebody's")
    await recorded("+rn", ct)
    assert lines(capfd) == [f"W: cannot rename {ct}: there is a {ct}.done"]
    assert set(os.listdir(tmp_path)) == {"1.2.3.dcm", "1.2.3.dcm.done"}


async def test_jobs_for_a_peer_that_serves_one_at_a_time(tmp_path: Path, capfd: Capture) -> None:
    """Nobody waits for an association that there is nothing left to do for."""
    for number in range(3):
        write_object(tmp_path, f"1.2.{number}")
    recorder, serving_one = Recorder(), asyncio.Lock()

    async def one_at_a_time(caller: Caller) -> None:
        if serving_one.locked():
            await caller.ended()  # it is not even listened to
            return
        async with serving_one:
            await recorder(caller)

    async with asyncio.timeout(10):
        acceptor = Acceptor(one_at_a_time, one_at_a_time)
        server = await asyncio.start_server(acceptor.connected, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            assert await run(port, tmp_path, "--jobs", "2", "-nh", "-ta", "30") == 0
            await acceptor.ended()
    assert sorted(recorder.uids) == ["1.2.0", "1.2.1", "1.2.2"]
    assert lines(capfd) == []
