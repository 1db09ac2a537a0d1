"""Inputs that are kept, and some made from them, through every target; what a target sees."""

from __future__ import annotations

import logging
import random

import pytest
from blockbuster import BlockBuster

from aiodicom.acceptor.answering import Answer, Answering
from aiodicom.acceptor.association import Association
from aiodicom.storage.object_file import ObjectFile
from aiodicom.wire.buffers import Account, Block
from aiodicom.wire.pdu import encode_pdu
from aiodicom.wire.upper_layer import UpperLayer
from tests.fuzzing.inputs import HEAD
from tests.fuzzing.mutation import damage
from tests.fuzzing.targets import CORPUS, TARGETS, Target
from tests.fuzzing.watching import Finding
from tests.peer import association_request, ct_dataset, store_pdus

MANY = 150
LONGEST = 1 << 13
REQUEST = encode_pdu(association_request())
USUAL = bytes(HEAD) + REQUEST + store_pdus("1.2.3")
DEBUGGING = b"\3\0\0\0\0\0"
TO_MEMORY = b"\x1c\0\0\0\0\0" + USUAL[HEAD:]


@pytest.fixture(autouse=True)
def writes_at_once(no_blocking_calls: BlockBuster) -> None:
    """Let targets write in the loop, so that an input does the same each time."""
    no_blocking_calls.deactivate()


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_inputs_that_are_kept(target: Target) -> None:
    inputs = target.inputs()
    assert inputs
    with target.make() as run:
        for path in inputs:
            run(path.read_bytes())


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_inputs_that_are_made_from_them(target: Target) -> None:
    rng = random.Random(target.name)
    inputs = [path.read_bytes() for path in target.inputs()]
    with target.make() as run:
        for _ in range(MANY):
            data = rng.choice(inputs)
            for _ in range(rng.randint(1, 3)):
                data = target.mutate(data, LONGEST, rng, lambda b, most: damage(rng, b, most))
            run(data)


def test_what_is_kept_is_small() -> None:
    sizes = [path.stat().st_size for path in CORPUS.rglob("*") if path.is_file()]
    assert sum(sizes) < 1 << 20
    assert max(sizes) < LONGEST


# What a target sees ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["acceptor", "requestor", "upper-layer"])
def test_an_exception_is_a_finding(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def received(upper: UpperLayer, count: int) -> None:
        raise KeyError("a bug")

    monkeypatch.setattr(UpperLayer, "received", received)
    with TARGETS[name].make() as run, pytest.raises(KeyError, match="a bug"):
        run(USUAL)


def test_an_object_that_is_acknowledged_and_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ObjectFile, "publish", ObjectFile.remove)
    with TARGETS["acceptor"].make() as run, pytest.raises(AssertionError, match="is gone"):
        run(USUAL)


def test_an_object_that_is_acknowledged_before_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    async def answer(*args: object) -> Answer:
        return Answer(0)

    monkeypatch.setattr(Answering, "answer", answer)
    with TARGETS["acceptor"].make() as run, pytest.raises(AssertionError, match="come whole"):
        run(USUAL[:-30])


def test_an_object_that_is_not_what_was_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Block, "__bytes__", lambda block: b"something else")
    with (
        TARGETS["acceptor"].make() as run,
        pytest.raises(AssertionError, match="not what was"),
    ):
        run(TO_MEMORY)


def test_something_unfinished_that_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ObjectFile, "remove", lambda file: None)
    cut = bytes(HEAD) + REQUEST + store_pdus("1.2.3", ct_dataset("1.2.3", bytes(9000)))[:-100]
    with TARGETS["acceptor"].make() as run, pytest.raises(AssertionError, match="unfinished"):
        run(cut)


def test_memory_that_does_not_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Account, "give", lambda account, count: None)
    monkeypatch.setattr(Account, "close", lambda account: None)
    with TARGETS["acceptor"].make() as run, pytest.raises(AssertionError):
        run(USUAL)


def test_a_failure_in_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(association: Association) -> None:
        logging.getLogger("aiodicom.association").error("a bug", exc_info=OSError())

    monkeypatch.setattr(Association, "tell_end", fail)
    with TARGETS["acceptor"].make() as run, pytest.raises(Finding, match="a bug"):
        run(USUAL)


def test_a_peer_s_text_in_the_log_as_it_came(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aiodicom.describe.escape", lambda text: text)
    calling = encode_pdu(association_request(calling="A\x1b[31m"))
    with TARGETS["acceptor"].make() as run, pytest.raises(Finding, match=r"\\x1b"):
        run(DEBUGGING + calling)


def test_a_connection_that_is_never_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.fuzzing.peer.FuzzedPeer._end", lambda peer, error: None)
    with TARGETS["acceptor"].make() as run, pytest.raises(AssertionError, match="not end"):
        run(USUAL)


def test_a_result_that_nobody_has_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aiodicom.client.results.Status.is_success", lambda status: True)
    refused = CORPUS / "requestor" / "pynetdicom-refuses"
    with TARGETS["requestor"].make() as run, pytest.raises(AssertionError, match="has said so"):
        run(refused.read_bytes())
