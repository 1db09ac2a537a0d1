"""Sixteen of DCMTK's senders at once lose nothing."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from aiodicom.wire.negotiation import EXPLICIT_LITTLE
from aiodicom.wire.part10 import FileMeta
from tests.peer import CT, ct_dataset
from tests.processes import dataset_of, receiving, unfinished, visible

SENDERS, OBJECTS = 16, 200


def dataset(uid: str) -> bytes:
    """A small object whose pixels no other one has."""
    return ct_dataset(uid, uid.encode().ljust(64, b" ") * 8)


def write_objects(folder: Path) -> dict[str, bytes]:
    """Write a folder of files for each sender; return all datasets by the names they will get."""
    datasets = {}
    for sender in range(SENDERS):
        (folder / str(sender)).mkdir(parents=True)
        for number in range(OBJECTS):
            uid = f"1.2.826.0.1.{sender}.{number}"
            data = datasets[f"CT.{uid}"] = dataset(uid)
            head = FileMeta(CT, uid, EXPLICIT_LITTLE).encode()
            (folder / str(sender) / f"{number}.dcm").write_bytes(head + data)
    return datasets


@pytest.mark.dcmtk
def test_sixteen_storescu_with_200_objects_each_at_once(tmp_path: Path) -> None:
    datasets = write_objects(tmp_path / "sent")
    with receiving("storescp", "-od", "received", folder=tmp_path) as receiver:
        words = ("storescu", "-R", "+sd", "127.0.0.1", str(receiver.port))
        environment = os.environ | {"TCP_NODELAY": "1"}  # else each object waits 40 ms for itself
        senders = [
            subprocess.Popen(
                (*words, str(tmp_path / "sent" / str(n))), stderr=subprocess.PIPE, env=environment
            )
            for n in range(SENDERS)
        ]
        results = [(sender.communicate(timeout=50)[1], sender.returncode) for sender in senders]
        assert results == [(b"", 0)] * SENDERS
        assert receiver.stop() == 0
        assert receiver.log == ""
    received = tmp_path / "received"
    assert visible(received) == sorted(datasets)
    assert not unfinished(received)
    assert all(dataset_of(received / name) == data for name, data in datasets.items())
