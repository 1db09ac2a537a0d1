"""Our storescu against receivers of others, and beside DCMTK's: what arrives, and exit codes."""

from __future__ import annotations

import contextlib
import hashlib
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
import trustme

from aiodicom.storescu import storescu
from aiodicom.wire.negotiation import IMPLICIT_LITTLE
from aiodicom.wire.part10 import FileMeta
from tests.certificates import Authority
from tests.interop.samples import CUT_OFF, SAMPLES, Sample, named, read
from tests.processes import PATIENCE, free_port, receiving, run, tries, visible

dcmtk = pytest.mark.dcmtk

Capture = pytest.CaptureFixture[str]
Words = str | Path

PALETTE = "1.2.840.10008.5.1.4.39.1"

PALETTES = [one for one in SAMPLES if one.sop_class_uid == PALETTE]
OTHERS = [one for one in SAMPLES if one not in CUT_OFF and one not in PALETTES]

SOME = ("CT_small.dcm", "rtplan.dcm", "JPEG2000.dcm", "SC_rgb_rle.dcm", "image_dfl.dcm")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "received"
    folder.mkdir()
    return folder


@contextlib.contextmanager
def running(folder: Path, *command: Words) -> Iterator[int]:
    """Run a receiver of others while the body runs; its port follows its command line."""
    port = free_port()
    log = folder.with_name(f"{folder.name}.log")
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*map(str, command), str(port)],
            cwd=folder,
            stdout=output,
            stderr=output,
            env={**os.environ, "TCP_NODELAY": "1"},
        )
        try:
            for _ in tries(f"port {port} does not answer"):
                assert process.poll() is None
                if listens(port):
                    break
            yield port
        except BaseException as error:
            error.add_note(log.read_text(errors="replace"))
            raise
        finally:
            process.kill()
            process.wait(PATIENCE)


def listens(port: int) -> bool:
    """Tell whether somebody listens, without a connection that a receiver has to deal with."""
    tables = [table for name in ("tcp", "tcp6") if (table := Path("/proc/net", name)).exists()]
    rows = [line.split() for table in tables for line in table.read_text().splitlines()[1:]]
    return any(row[1].endswith(f":{port:04X}") and row[3] == "0A" for row in rows)


def send(port: int, *words: Words) -> int:
    """Run the command, and return its exit code."""
    return storescu(["127.0.0.1", str(port), *map(str, words)])


def paths(samples: Iterable[Sample]) -> list[Path]:
    return [one.path for one in samples]


Content = Counter[tuple[bytes, str]]


def content(data: bytes, transfer_syntax: str) -> tuple[bytes, str]:
    return hashlib.blake2b(data).digest(), transfer_syntax


def received(folder: Path) -> Content:
    """The datasets in a folder of files, with their transfer syntaxes."""
    found: Content = Counter()
    for name in visible(folder):
        data = (folder / name).read_bytes()
        meta, offset = FileMeta.decode(data)
        found[content(data[offset:], meta.transfer_syntax_uid)] += 1
    return found


def expected(samples: Iterable[Sample]) -> Content:
    """The same of files that were sent; a deflated dataset is padded (PS3.5 A.5)."""
    found: Content = Counter()
    for one in samples:
        padding = b"\0" * (len(one.data) % 2)
        found[content(one.data + padding, one.transfer_syntax_uid)] += 1
    return found


def lines(capfd: Capture) -> list[str]:
    out, err = capfd.readouterr()
    assert out == ""
    return err.splitlines()


# What arrives -------------------------------------------------------------------------------------


def test_there_are_samples_of_each_kind() -> None:
    assert len(OTHERS) >= 160
    assert PALETTES
    assert CUT_OFF
    assert len(OTHERS) + len(PALETTES) + len(CUT_OFF) == len(SAMPLES)


@dcmtk
@pytest.mark.parametrize(
    ("theirs", "options"),
    [("--single-process", ()), ("--fork", ("-R", "--jobs", "3"))],
)
def test_all_of_pydicoms_files_to_storescp_byte_for_byte(
    folder: Path, capfd: Capture, theirs: str, options: tuple[str, ...]
) -> None:
    """But for palettes, which it does not know; several share a SOP Instance UID: +uf."""
    with running(folder, "storescp", "+xa", "+B", "+uf", theirs) as port:
        assert send(port, *options, *paths(OTHERS)) == 0
    assert lines(capfd) == []
    assert received(folder) == expected(OTHERS)


PALETTES_ONLY = f"""
[[TransferSyntaxes]]
[Any]
TransferSyntax1 = LittleEndianExplicit
[[PresentationContexts]]
[Contexts]
PresentationContext1 = {PALETTE}\\Any
[[Profiles]]
[Palettes]
PresentationContexts = Contexts
"""


@dcmtk
def test_palettes_to_storescp_where_a_profile_names_them(folder: Path, capfd: Capture) -> None:
    profile = folder.with_name("palettes.cfg")
    profile.write_text(PALETTES_ONLY)
    (root,) = {one.path.parent for one in PALETTES}
    with running(folder, "storescp", "+B", "+uf", "-xf", profile, "Palettes") as port:
        assert send(port, "+sd", "+sp", "*.dcm", root) == 0
        assert send(port, "-xf", profile, "palettes", *paths(PALETTES)) == 0
    assert lines(capfd) == []
    assert received(folder) == expected(2 * PALETTES)


@dcmtk
def test_what_storescp_cannot_take_is_said_and_the_rest_arrives(
    folder: Path, capfd: Capture
) -> None:
    ct = named("CT_small.dcm")
    with running(folder, "storescp", "+xa", "+B", "+uf") as port:
        assert send(port, "-nh", CUT_OFF[0].path, PALETTES[0].path, ct.path) == 1
    said = lines(capfd)
    assert said[0].startswith(f"E: Store Failed, file: {CUT_OFF[0].path}: it was cut off: ")
    assert said[1].startswith(f"E: Store Failed, file: {PALETTES[0].path}: ")
    assert said[1].endswith(
        "the peer accepts no Color Palette Storage as Explicit VR Little Endian"
    )
    assert said[2] == "E: 2 of 3 files are not stored"
    assert received(folder) == expected([ct])


@dcmtk
def test_storescp_that_takes_only_another_transfer_syntax(folder: Path) -> None:
    ct = named("CT_small.dcm")
    with running(folder, "storescp", "+xi", "+B", "+uf") as port:
        assert send(port, "-x=", ct.path) == 0
    (name,) = visible(folder)
    stored = read(folder / name)
    assert stored.file_meta.TransferSyntaxUID == IMPLICIT_LITTLE
    assert stored == read(ct.path)


DCMRECV = """
[[TransferSyntaxes]]
[Some]
TransferSyntax1 = LittleEndianExplicit
TransferSyntax2 = JPEG2000
TransferSyntax3 = RLELossless
TransferSyntax4 = DeflatedLittleEndianExplicit
TransferSyntax5 = LittleEndianImplicit
[[PresentationContexts]]
[Contexts]
PresentationContext1 = CTImageStorage\\Some
PresentationContext2 = RTPlanStorage\\Some
PresentationContext3 = SecondaryCaptureImageStorage\\Some
[[Profiles]]
[Some]
PresentationContexts = Contexts
"""


@dcmtk
@pytest.mark.parametrize("options", [(), ("-R", "-nh", "--jobs", "2"), ("--max-send-pdu", "4096")])
def test_dcmrecv(folder: Path, capfd: Capture, options: tuple[str, ...]) -> None:
    samples = [named(name) for name in SOME]
    profile = folder.with_name("dcmrecv.cfg")
    profile.write_text(DCMRECV)
    with running(folder, "dcmrecv", "+B", "+fu", "-xf", profile, "Some") as port:
        assert send(port, *options, *paths(samples)) == 0
    assert lines(capfd) == []
    assert received(folder) == expected(samples)


@pytest.mark.parametrize("options", [("-cx",), ("--required-contexts", "--max-send-pdu", "4096")])
def test_pynetdicoms_storescp(folder: Path, capfd: Capture, options: tuple[str, ...]) -> None:
    samples = [named(name) for name in SOME]
    command = (sys.executable, "-m", "pynetdicom", "storescp", "-v", "-od", folder)
    with running(folder, *command) as port:
        assert send(port, *options, *paths(samples)) == 0
    assert lines(capfd) == []
    stored = {str(one.SOPInstanceUID): one for one in map(read, folder.iterdir())}
    assert stored.keys() == {one.sop_instance_uid for one in samples}
    for one in samples:
        assert stored[one.sop_instance_uid] == read(one.path)


@pytest.mark.parametrize("command", ["storescp", "dcmrecv"])
def test_our_own(tmp_path: Path, folder: Path, capfd: Capture, command: str) -> None:
    unique = {one.sop_instance_uid: one for one in OTHERS}.values()
    with receiving(command, "-od", "received", folder=tmp_path) as receiver:
        assert send(receiver.port, "-nh", "--jobs", "2", *paths(unique)) == 0
        assert receiver.log == ""
    assert lines(capfd) == []
    assert visible(folder) == sorted(one.stored_as for one in unique)
    assert received(folder) == expected(unique)


# TLS ----------------------------------------------------------------------------------------------


@dcmtk
def test_storescp_behind_tls(tmp_path: Path, folder: Path, capfd: Capture) -> None:
    authority = Authority(tmp_path, trustme.KeyType.RSA)
    theirs, ours = authority.issue("receiver"), authority.issue("sender")
    trust = ("+cf", authority.certificate)
    enable = ("+tls", ours.key, ours.certificate, *trust)
    ct = named("CT_small.dcm")
    command = ("storescp", "+B", "+uf", "+tls", theirs.key, theirs.certificate, *trust)
    with running(folder, *command) as port:
        assert send(port, *enable, ct.path) == 0
        assert send(port, *enable, "-ic", ct.path) == 0
        assert lines(capfd) == []
        for refused in ((), ("+tla", *trust)):
            assert send(port, *refused, "-ta", "5", ct.path) == 1
            (line,) = lines(capfd)
            assert line.startswith("F: Association Request Failed: ")
    assert received(folder) == expected([ct, ct])


@dcmtk
def test_storescp_behind_tls_that_asks_for_no_certificate(tmp_path: Path, folder: Path) -> None:
    authority = Authority(tmp_path, trustme.KeyType.RSA)
    own = authority.issue("receiver")
    ct = named("CT_small.dcm")
    command = ("storescp", "+B", "+uf", "-ic", "+tls", own.key, own.certificate)
    with running(folder, *command) as port:
        assert send(port, "+tla", "+cf", authority.certificate, ct.path) == 0
    assert received(folder) == expected([ct])


# Exit codes, beside DCMTK's -----------------------------------------------------------------------


def nothing(_: Path) -> None:
    """The folder is there."""


FILES = ("CT_small.dcm", "MR_small.dcm")


@dcmtk
@pytest.mark.parametrize(
    ("theirs", "prepare", "options", "code"),
    [
        ((), nothing, (), 0),
        ((), nothing, ("-xb", "--repeat", "2", "--abort"), 0),
        (("--refuse",), nothing, (), 1),
        (("--abort-during",), nothing, (), 10),
        (("--abort-after",), nothing, (), 10),
        ((), Path.rmdir, (), 167),
        ((), nothing, ("none.dcm",), 1),
        ((), nothing, ("--unknown",), 1),
        ((), nothing, ("-xf", "none.cfg", "Default"), 1),
        ((), nothing, ("-xs", "-R", "-xf", "none.cfg", "Default"), 1),
        ((), nothing, ("-kt", "none"), 1),
        ((), nothing, ("+tls", "none", "none"), 1),
    ],
)
def test_exit_codes_are_those_of_dcmtks_storescu(
    folder: Path,
    capfd: Capture,
    theirs: tuple[str, ...],
    prepare: Callable[[Path], None],
    options: tuple[str, ...],
    code: int,
) -> None:
    files = [str(named(name).path) for name in FILES]
    with running(folder, "storescp", *theirs) as port:
        prepare(folder)
        done = run(("storescu", "127.0.0.1", str(port), *files, *options))
        assert done.returncode == code, done.stderr
        assert send(port, *files, *options) == code
    said = [line for line in lines(capfd) if line[:3] in ("F: ", "E: ", "err")]
    assert bool(said) is bool(code)


@dcmtk
def test_not_halting_is_no_success_unlike_with_dcmtks(folder: Path) -> None:
    files = [str(named(name).path) for name in FILES]
    with running(folder, "storescp") as port:
        folder.rmdir()
        done = run(("storescu", "-nh", "127.0.0.1", str(port), *files))
        assert done.returncode == 0
        assert send(port, "-nh", *files) == 167
