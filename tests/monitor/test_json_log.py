"""The lines of the JSON log: what they say, in which types, and what they never say."""

from __future__ import annotations

import asyncio
import io
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import aiodicom
from aiodicom import AbortAssociation, AssociationRejected, Refused, Status, StoreRequest
from aiodicom.events import AssociationAccepted, AssociationEnded, RequestBegun, RequestEnded
from aiodicom.monitor.json_log import JsonLog
from aiodicom.requests import AssociationInfo
from aiodicom.wire.dimse import CommandField, CommandSet
from aiodicom.wire.negotiation import EXPLICIT_LITTLE, PresentationContext
from tests.peer import CT, Peer, association_request, command_pdu, ct_dataset, store_command
from tests.serving import discard, serving

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")

FIELDS = {
    "object": {
        "event": str, "time": str, "association": str, "calling_ae_title": str,
        "called_ae_title": str, "address": str, "message_id": int, "sop_class_uid": str,
        "sop_instance_uid": str, "transfer_syntax_uid": str, "bytes": int, "outcome": str,
        "status": int, "answered": bool, "comment": str, "seconds": float,
        "settled_seconds": float,
    },
    "association": {
        "event": str, "time": str, "association": str, "calling_ae_title": str,
        "called_ae_title": str, "address": str, "port": int, "began": str, "seconds": float,
        "end": str, "text": str, "objects": int, "bytes": int, "statuses": dict, "echoes": int,
        "others": int,
    },
    "rejection": {
        "event": str, "time": str, "calling_ae_title": str, "called_ae_title": str,
        "address": str, "port": int, "result": int, "source": int, "reason": int, "text": str,
    },
    "refusal": {"event": str, "time": str, "address": str, "reason": str, "text": str},
}  # fmt: skip
"""What docs/events.md promises."""


class Written:
    """A JSON log in memory."""

    def __init__(self) -> None:
        self.stream = io.BytesIO()
        self.log = JsonLog(self.stream)

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.stream.getvalue().decode().splitlines()]

    def of(self, event: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if line["event"] == event]

    def one(self, event: str) -> dict[str, Any]:
        (line,) = self.of(event)
        assert {name: type(value) for name, value in line.items()} == FIELDS[event]
        return line


async def test_an_object_and_its_association() -> None:
    written, data = Written(), ct_dataset("1.2.3")
    settings = {"store": discard, "watchers": [written.log]}
    async with serving(**settings) as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.store("1.2.3", data, message_id=7)
        await peer.echo()
        await peer.release()
    line, end = written.one("object"), written.one("association")
    assert (line["sop_class_uid"], line["sop_instance_uid"]) == (CT, "1.2.3")
    assert line["transfer_syntax_uid"] == EXPLICIT_LITTLE
    assert (line["outcome"], line["status"], line["answered"]) == ("success", 0, True)
    assert (line["bytes"], line["message_id"]) == (len(data), 7)
    assert line["calling_ae_title"] == end["calling_ae_title"] == "PEER"
    assert line["association"] == end["association"]
    assert (end["end"], end["address"], end["text"]) == ("released", "127.0.0.1", "")
    assert (end["objects"], end["bytes"], end["statuses"]) == (1, len(data), {"0000": 1})
    assert (end["echoes"], end["others"]) == (1, 0)


async def test_times_are_rfc_3339_in_utc() -> None:
    written = Written()
    before = datetime.now(UTC)
    async with serving(watchers=[written.log]) as server, Peer(server.port) as peer:
        await peer.associate()
    end = written.one("association")
    assert TIME.fullmatch(end["time"])
    assert TIME.fullmatch(end["began"])
    began, ended = (datetime.fromisoformat(end[name]) for name in ("began", "time"))
    assert began <= ended <= datetime.now(UTC)
    assert (began - before).total_seconds() > -0.001  # milliseconds are cut off


async def test_objects_that_failed_by_their_status() -> None:
    answers: Iterator[Exception | int] = iter(
        [Refused(Status.OUT_OF_RESOURCES, "no room"), 0xB007, RuntimeError("CANARY")]
    )

    async def store(request: StoreRequest) -> int:
        request.dataset.discard()
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    written = Written()
    async with serving(store=store, watchers=[written.log]) as server, Peer(server.port) as peer:
        await peer.associate()
        for number in range(3):
            await peer.store(f"1.2.{number}")
    lines = [(o["outcome"], o["status"], o["comment"]) for o in written.of("object")]
    assert lines == [
        ("failure", 0xA700, "no room"),
        ("warning", 0xB007, ""),
        ("failure", 0xC211, "the handler failed"),
    ]
    assert written.one("association")["statuses"] == {"A700": 1, "B007": 1, "C211": 1}


async def test_an_object_that_broke_off() -> None:
    async def aborts(request: StoreRequest) -> int:
        raise AbortAssociation("enough")

    written = Written()
    async with serving(store=aborts, watchers=[written.log]) as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.begin_store("1.2.3", b"abcd")
        await peer.aborted()
    (line,) = written.of("object")
    assert (line["outcome"], line["status"], line["answered"]) == ("none", None, False)
    assert (line["bytes"], line["settled_seconds"]) == (4, None)
    end = written.one("association")
    assert (end["end"], end["statuses"]) == ("handler", {"none": 1})


async def test_what_is_rejected_and_refused_and_a_probe() -> None:
    async def no(info: AssociationInfo) -> None:
        raise AssociationRejected("not you", 1, 1, 3)

    written = Written()
    async with serving(authorize=no, watchers=[written.log]) as server:
        async with Peer(server.port) as peer:
            await peer.rejected()
        async with Peer(server.port) as peer:
            await peer.send(b"GET / HTTP/1.1\r\n\r\n")
            await peer.half_close()
        async with Peer(server.port):
            pass
    assert written.one("rejection")["text"] == "not you"
    assert written.one("refusal")["reason"] == "protocol"
    assert len(written.lines) == 2


async def test_other_requests_are_counted() -> None:
    written = Written()
    find = CommandSet.build(CommandField.C_FIND, affected_sop_class_uid=CT, message_id=1)
    settings = {"store": discard, "watchers": [written.log]}
    async with serving(**settings) as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.send(command_pdu(find))
        await peer.status()
    assert written.one("association")["others"] == 1


@pytest.mark.parametrize("title", ['"},\n{"a', "\x00\x1b[2J", "\xe9\x80\xff", "\\u0000", "'"])
async def test_hostile_titles_and_uids(title: str) -> None:
    written = Written()
    command = store_command("1.2.3")
    command.elements[0x00001000] = title.encode("latin-1") * 100
    settings = {"store": discard, "watchers": [written.log]}
    async with serving(**settings) as server, Peer(server.port) as peer:
        request = association_request()
        field = (title.encode("latin-1") + b" " * 16)[:16]
        await peer.associate(type(request)(request.called_ae_title_field, field, request.items))
        await peer.send(command_pdu(command))
        await peer.half_close()
    assert written.stream.getvalue().isascii()
    assert b"\x1b" not in written.stream.getvalue()
    end = written.one("association")
    assert end["calling_ae_title"] == title.strip("\0 ")
    assert all(len(o["sop_instance_uid"]) <= 131 for o in written.of("object"))


async def test_what_cannot_be_written_in_utf_8() -> None:
    async def refuses(request: StoreRequest) -> int:
        raise Refused(0xA700, "\udc80")

    written = Written()
    async with serving(store=refuses, watchers=[written.log]) as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.store("1.2.3")
    (line,) = written.of("object")
    assert line["comment"] == "?"


async def test_lines_are_of_a_bounded_length() -> None:
    """Short enough to be whole in a pipe that others write to."""
    info = AssociationInfo(association_request(), "address" * 100, 65535, 1)
    context = PresentationContext(1, CT, EXPLICIT_LITTLE)
    command = store_command("\\" * 5000, sop_class_uid="\\" * 5000)
    request = RequestBegun(info, context, command, None, 0)
    written = Written()
    async with written.log as log:
        log(AssociationAccepted(info, 0))
        for status in range(0xA700, 0xA7FF):
            log(RequestEnded(request, status, "\x00" * 5000, 1e6, 1e6))
        log(AssociationEnded(info, "lost", "\x00" * 5000, 1e6))
    assert max(map(len, written.stream.getvalue().splitlines())) < 4096
    statuses = written.of("association")[0]["statuses"]
    assert (sum(statuses.values()), len(statuses)) == (0xFF, 17)


async def test_a_file_that_cannot_be_opened_keeps_the_server_from_starting(tmp_path: Path) -> None:
    server = aiodicom.serve(host="127.0.0.1", port=0, watchers=[JsonLog(tmp_path / "no" / "log")])
    with pytest.raises(FileNotFoundError) as raised:
        await server.start()
    assert raised.value.filename.endswith("no/log")


async def test_workers_that_cannot_write_are_not_started(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        await asyncio.to_thread(JsonLog(tmp_path / "no" / "log").share, 2)


async def test_reloading_opens_the_file_anew(tmp_path: Path) -> None:
    path = tmp_path / "log"
    async with serving(watchers=[JsonLog(path)]) as server:
        async with Peer(server.port) as peer:
            await peer.associate()
            await peer.release()
        await asyncio.to_thread(path.rename, tmp_path / "old")
        assert await server.reload()
        async with Peer(server.port) as peer:
            await peer.associate()
            await peer.abort()
    old, new = (tmp_path / "old").read_text(), path.read_text()
    assert [json.loads(line)["end"] for line in (old + new).splitlines()] == ["released", "aborted"]
    assert new


async def test_who_replaces_a_worker_says_so() -> None:
    written = Written()
    written.log.restarted(1)
    written.log.work(1)
    async with written.log:
        pass
    (line,) = written.lines
    assert (line["event"], line["worker"]) == ("worker_replaced", 2)


async def test_each_run_has_associations_of_its_own() -> None:
    names = set()
    for _ in range(2):
        written = Written()
        async with serving(watchers=[written.log]) as server, Peer(server.port) as peer:
            await peer.associate()
        names.add(written.one("association")["association"])
    assert len(names) == 2


async def test_a_log_that_a_server_has_is_refused_to_another_one() -> None:
    """Both would count their associations from 1 on."""
    written = Written()
    async with serving(watchers=[written.log]) as server, Peer(server.port) as peer:
        other = aiodicom.serve(host="127.0.0.1", port=0, watchers=[written.log])
        with pytest.raises(RuntimeError, match="may append to one file"):
            await other.start()
        await peer.associate()
    assert len(written.of("association")) == 1
    async with serving(watchers=[written.log]) as server, Peer(server.port) as peer:
        await peer.associate()
    assert len(written.of("association")) == 2


async def test_a_log_that_could_not_start_may_be_given_to_another_server(tmp_path: Path) -> None:
    log = JsonLog(tmp_path / "folder" / "log")
    with pytest.raises(FileNotFoundError):
        await aiodicom.serve(host="127.0.0.1", port=0, watchers=[log]).start()
    await asyncio.to_thread((tmp_path / "folder").mkdir)
    async with serving(watchers=[log]):
        pass
