"""A receiver that loses or damages objects is found out."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from aiodicom.wire.negotiation import EXPLICIT_LITTLE
from aiodicom.wire.part10 import FileMeta
from benchmarks.check import check_stored
from benchmarks.messages import CT_IMAGE_STORAGE, LoadError, instance_uid
from benchmarks.objects import write_ct
from benchmarks.receivers.receiver import Receiver

BY_NAME = Receiver("one", "One", "one", ())
ANEW = dataclasses.replace(BY_NAME, preserves_bytes=False)
ANYWHERE = dataclasses.replace(ANEW, file_name="")

every_receiver = pytest.mark.parametrize("receiver", [BY_NAME, ANEW, ANYWHERE])


@pytest.fixture
def sent(tmp_path: Path) -> dict[Path, set[int]]:
    """The objects 5 and 6, which are stored as well."""
    path = tmp_path / "ct.dataset"
    write_ct(path, 6_000)
    (tmp_path / "received").mkdir()
    for number in (5, 6):
        store(tmp_path / "received", path, number)
    return {path: {5, 6}}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "received"


def store(folder: Path, dataset: Path, number: int) -> Path:
    uid = instance_uid(number)
    meta = FileMeta(CT_IMAGE_STORAGE, uid.decode(), EXPLICIT_LITTLE).encode()
    path = folder / f"CT.{uid.decode()}"
    path.write_bytes(meta + dataset.read_bytes().replace(instance_uid(0), uid))
    return path


@every_receiver
def test_what_is_there_is_accepted(
    folder: Path, sent: dict[Path, set[int]], receiver: Receiver
) -> None:
    check_stored(receiver, folder, sent)


@every_receiver
def test_a_lost_object_is_missed(
    folder: Path, sent: dict[Path, set[int]], receiver: Receiver
) -> None:
    next(folder.iterdir()).unlink()
    with pytest.raises(LoadError, match="1 of 2 acknowledged objects are not there"):
        check_stored(receiver, folder, sent)


@every_receiver
def test_an_object_that_nobody_has_sent_is_one_too_many(
    folder: Path, sent: dict[Path, set[int]], receiver: Receiver
) -> None:
    store(folder, next(iter(sent)), 7)
    with pytest.raises(LoadError, match="1 files are there that were not acknowledged"):
        check_stored(receiver, folder, sent)


@every_receiver
@pytest.mark.parametrize("change", [lambda data: data[:-2], lambda data: data + b"\0\0"])
def test_an_object_of_another_size_is_seen(
    folder: Path, sent: dict[Path, set[int]], receiver: Receiver, change: object
) -> None:
    assert callable(change)
    path = next(folder.iterdir())
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(LoadError, match="different sizes"):
        check_stored(receiver, folder, sent)


@every_receiver
def test_a_flipped_bit_in_the_pixels_is_seen(
    folder: Path, sent: dict[Path, set[int]], receiver: Receiver
) -> None:
    path = next(folder.iterdir())
    data = bytearray(path.read_bytes())
    data[-100] ^= 1
    path.write_bytes(data)
    with pytest.raises(LoadError, match="is not what was sent"):
        check_stored(receiver, folder, sent)


def test_a_flipped_bit_in_the_header_is_seen_where_bytes_are_preserved(
    folder: Path, sent: dict[Path, set[int]]
) -> None:
    path = next(folder.iterdir())
    path.write_bytes(path.read_bytes().replace(b"Doe^Jane", b"Doe^Jana"))
    with pytest.raises(LoadError, match="a stored dataset is not what was sent"):
        check_stored(BY_NAME, folder, sent)


@pytest.mark.parametrize("number", [5, 41, 104])
def test_one_damaged_object_among_many_small_ones_is_seen(folder: Path, number: int) -> None:
    dataset = folder.with_name("ct.dataset")
    write_ct(dataset, 6_000)
    folder.mkdir()
    paths = {each: store(folder, dataset, each) for each in range(5, 105)}
    paths[number].write_bytes(bytes(paths[number].stat().st_size))
    with pytest.raises(LoadError, match="is no DICOM file"):
        check_stored(BY_NAME, folder, {dataset: set(paths)})


def test_hidden_files_are_the_receiver_s_own(folder: Path, sent: dict[Path, set[int]]) -> None:
    (folder / ".configuration").write_text("")
    check_stored(BY_NAME, folder, sent)


@pytest.mark.parametrize("receiver", [BY_NAME, ANEW])
def test_a_flipped_bit_far_inside_a_large_object_is_seen(
    tmp_path: Path, receiver: Receiver
) -> None:
    dataset, folder = tmp_path / "ct.dataset", tmp_path / "received"
    write_ct(dataset, 3_000_000)
    folder.mkdir()
    path = store(folder, dataset, 5)
    data = bytearray(path.read_bytes())
    data[2_000_000] ^= 1
    path.write_bytes(data)
    with pytest.raises(LoadError, match="is not what was sent"):
        check_stored(receiver, folder, {dataset: {5}})
