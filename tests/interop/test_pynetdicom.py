"""pynetdicom's applications against a receiver that runs as a command."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.interop.samples import named, read
from tests.processes import Receiver, dataset_of, receiving, run_module, unfinished, visible

COMPRESSED = ("MR_small_RLE.dcm", "JPEG2000.dcm", "SC_rgb_jpeg_gdcm.dcm", "image_dfl.dcm")


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Receiver]:
    with receiving("storescp", "-od", "received", "-v", folder=tmp_path) as running:
        yield running


def send(application: str, receiver: Receiver, *arguments: str | Path) -> str:
    words = ("127.0.0.1", str(receiver.port), "-v", *map(str, arguments))
    done = run_module("pynetdicom", application, *words)
    assert done.returncode == 0, done.stderr
    return done.stderr


@pytest.mark.parametrize("name", ["CT_small.dcm", "MR_small.dcm", "rtplan.dcm", *COMPRESSED])
def test_storescu(receiver: Receiver, tmp_path: Path, name: str) -> None:
    one = named(name)
    log = send("storescu", receiver, "-cx", one.path)
    assert "Received Store Response (Status: 0x0000 - Success)" in log
    folder = tmp_path / "received"
    assert visible(folder) == [one.stored_as]
    stored, sent = read(folder / one.stored_as), read(one.path)
    assert stored.file_meta.TransferSyntaxUID == one.transfer_syntax_uid
    assert stored == sent


def test_storescu_with_a_folder(receiver: Receiver, tmp_path: Path) -> None:
    samples = [named(name) for name in ("CT_small.dcm", "MR_small.dcm", "test-SR.dcm")]
    (tmp_path / "sent").mkdir()
    for one in samples:
        shutil.copy(one.path, tmp_path / "sent")
    log = send("storescu", receiver, tmp_path / "sent")
    assert log.count("Received Store Response (Status: 0x0000 - Success)") == len(samples)
    folder = tmp_path / "received"
    assert visible(folder) == sorted(one.stored_as for one in samples)
    assert not unfinished(folder)
    assert dataset_of(folder / samples[0].stored_as) == samples[0].data


def test_echoscu(receiver: Receiver) -> None:
    assert "Received Echo Response (Status: 0x0000 - Success)" in send("echoscu", receiver)
    receiver.wait_for_line("I: Association Released")
    assert "I: Received Echo Request (MsgID 1)" in receiver.lines


def test_echoscu_many_times_and_echoscp(tmp_path: Path) -> None:
    with receiving("echoscp", "-v", folder=tmp_path) as receiver:
        log = send("echoscu", receiver, "--repeat", "5")
        assert log.count("Received Echo Response (Status: 0x0000 - Success)") == 5
        receiver.wait_for_line("I: Association Released")
        assert "I: Received Echo Request (MsgID 1)" in receiver.lines
