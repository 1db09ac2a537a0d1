"""DCMTK's senders against a receiver that runs as a command."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.interop.samples import ROOT, SAMPLES, Sample, named, read, sample
from tests.processes import Receiver, dataset_of, receiving, run, unfinished, visible

pytestmark = pytest.mark.dcmtk

UNCOMPRESSED = ("CT_small.dcm", "MR_small.dcm", "SC_rgb_small_odd.dcm", "test-SR.dcm")


def as_dcmtk_writes_it(name: str, folder: Path) -> Path:
    """A sample that went through DCMTK once: its senders have nothing to convert any more."""
    path = folder / name
    done = run(["dcmconv", "-p", str(named(name).path), str(path)])
    assert done.returncode == 0, done.stderr
    return path


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Receiver]:
    with receiving("storescp", "-od", "received", "-v", folder=tmp_path) as running:
        yield running


def send(command: str, receiver: Receiver, *arguments: str | Path) -> str:
    words = [command, "-v", "127.0.0.1", str(receiver.port), *map(str, arguments)]
    done = run(words)
    assert done.returncode == 0, done.stderr
    return done.stderr


def check(folder: Path, *sent: Path) -> None:
    """Every file, and nothing else, stands in the folder, byte for byte."""
    stored = [folder / found(path).stored_as for path in sent]
    assert visible(folder) == sorted(path.name for path in stored)
    assert not unfinished(folder)
    for before, after in zip(sent, stored, strict=True):
        assert dataset_of(after) == found(before).data
        assert read(after) == read(before)
        assert read(after).file_meta.TransferSyntaxUID == read(before).file_meta.TransferSyntaxUID


def found(path: Path) -> Sample:
    one = sample(path)
    assert one is not None
    return one


@pytest.mark.parametrize(
    ("option", "name"),
    [
        ("-x=", "CT_small.dcm"),
        ("-xe", "MR_small.dcm"),
        ("-xb", "MR_small_bigendian.dcm"),
        ("-xi", "MR_small_implicit.dcm"),
        ("-xs", "SC_rgb_jpeg_gdcm.dcm"),
        ("-xy", "SC_rgb_dcmtk_+eb+cr.dcm"),
        ("-xx", "JPGExtended.dcm"),
        ("-xv", "MR_small_jp2klossless.dcm"),
        ("-xw", "JPEG2000.dcm"),
        ("-xt", "MR_small_jpeg_ls_lossless.dcm"),
        ("-xu", "JPEGLSNearLossless_08.dcm"),
        ("-xr", "MR_small_RLE.dcm"),
    ],
)
def test_storescu_with_each_of_its_proposals(
    receiver: Receiver, tmp_path: Path, option: str, name: str
) -> None:
    path = as_dcmtk_writes_it(name, tmp_path)
    send("storescu", receiver, option, path)
    check(tmp_path / "received", path)


def test_storescu_with_a_deflated_dataset(receiver: Receiver, tmp_path: Path) -> None:
    one = named("image_dfl.dcm")
    send("storescu", receiver, "-xd", one.path)  # which deflates it anew
    assert read(tmp_path / "received" / one.stored_as) == read(one.path)


def test_storescu_with_several_files(receiver: Receiver, tmp_path: Path) -> None:
    paths = [as_dcmtk_writes_it(name, tmp_path) for name in UNCOMPRESSED]
    send("storescu", receiver, *paths)
    check(tmp_path / "received", *paths)


@pytest.mark.parametrize(
    ("option", "names"), [("-x=", UNCOMPRESSED), ("-xr", ("MR_small_RLE.dcm", "SC_rgb_rle.dcm"))]
)
def test_storescu_with_all_transfer_syntaxes_in_one_context(
    receiver: Receiver, tmp_path: Path, option: str, names: tuple[str, ...]
) -> None:
    paths = [as_dcmtk_writes_it(name, tmp_path) for name in names]
    send("storescu", receiver, "+C", option, *paths)
    folder = tmp_path / "received"
    assert visible(folder) == sorted(found(path).stored_as for path in paths)
    for path in paths:
        assert read(folder / found(path).stored_as).get("PixelData") == read(path).get("PixelData")


@pytest.mark.parametrize("length", ["4096", "131072"])
def test_storescu_with_short_and_long_pdus(receiver: Receiver, tmp_path: Path, length: str) -> None:
    path = as_dcmtk_writes_it("CT_small.dcm", tmp_path)
    send("storescu", receiver, "-pdu", length, "--max-send-pdu", length, path)
    check(tmp_path / "received", path)


def test_storescu_that_aborts_after_its_objects(receiver: Receiver, tmp_path: Path) -> None:
    path = as_dcmtk_writes_it("CT_small.dcm", tmp_path)
    send("storescu", receiver, "--abort", path)
    receiver.wait_for_line("I: Association Aborted")
    check(tmp_path / "received", path)


def test_storescu_twice_with_the_same_object(receiver: Receiver, tmp_path: Path) -> None:
    path = as_dcmtk_writes_it("CT_small.dcm", tmp_path)
    for _ in range(2):
        send("storescu", receiver, path)
    check(tmp_path / "received", path)
    assert f"W: DICOM file existed and was replaced: {found(path).stored_as}" in receiver.lines


def test_dcmsend_with_whatever_the_files_are(receiver: Receiver, tmp_path: Path) -> None:
    names = (*UNCOMPRESSED, "SC_rgb_rle.dcm", "JPEG2000.dcm", "examples_ybr_color.dcm")
    paths = [as_dcmtk_writes_it(name, tmp_path) for name in names]
    send("dcmsend", receiver, "-dn", *paths)
    check(tmp_path / "received", *paths)


def test_dcmsend_with_what_it_finds_in_a_folder(receiver: Receiver, tmp_path: Path) -> None:
    folder = ROOT / "test_files" / "dicomdirtests" / "98892001"
    wanted = {one.sop_instance_uid for one in SAMPLES if folder in one.path.parents}
    assert len(wanted) >= 5
    send("dcmsend", receiver, "+sd", "+r", "-nh", folder)
    received = tmp_path / "received"
    assert {read(received / name).SOPInstanceUID for name in visible(received)} == wanted


def test_echoscu(receiver: Receiver) -> None:
    assert "Received Echo Response (Success)" in send("echoscu", receiver)
    receiver.wait_for_line("I: Association Released")
    assert "I: Received Echo Request (MsgID 1)" in receiver.lines


def test_echoscu_many_times(receiver: Receiver) -> None:
    send("echoscu", receiver, "--repeat", "20")
    receiver.wait_for_line("I: Association Released")
    assert sum(line.startswith("I: Received Echo Request") for line in receiver.lines) == 20


def test_echoscu_that_aborts(receiver: Receiver) -> None:
    send("echoscu", receiver, "--abort")
    receiver.wait_for_line("I: Association Aborted")
    send("echoscu", receiver)


def test_storescu_to_a_receiver_of_nothing_but_echoes(tmp_path: Path) -> None:
    with receiving("echoscp", "-v", folder=tmp_path) as receiver:
        path = named("CT_small.dcm").path
        done = run(["storescu", "127.0.0.1", str(receiver.port), str(path)])
        assert done.returncode != 0
        assert "No Acceptable Presentation Contexts" in done.stderr
        receiver.wait_for_line("I: Accepting Association")
        receiver.wait_for_line("I: Association Aborted")
