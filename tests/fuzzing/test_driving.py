"""What drives the targets: changes that keep lengths, what was heard, what a run has reached."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from aiodicom.wire.dimse import CommandSet
from tests.fuzzing.__main__ import main
from tests.fuzzing.hearing import MESSAGE_ID, messages_in, pdus_of
from tests.fuzzing.inputs import HEAD, Settings
from tests.fuzzing.mutation import damage, mutate_command, mutate_conversation
from tests.fuzzing.statistics import Statistics, statistics_of
from tests.fuzzing.targets import CORPUS, TARGETS
from tests.peer import command_pdu, ct_dataset, dataset_pdus, store_command, store_pdus

RECORDED = (CORPUS / "acceptor" / "pynetdicom-stores").read_bytes()
MOST = 1 << 13


def by_bytes(data: bytes, most: int) -> bytes:
    return damage(random.Random(len(data)), data, most)


def test_a_conversation_stays_one_when_it_is_changed() -> None:
    whole = 0
    for seed in range(200):
        changed = mutate_conversation(RECORDED, MOST, random.Random(seed), by_bytes)[HEAD:]
        whole += sum(6 + len(body) for _, body in pdus_of(changed)) == len(changed)
    assert whole > 100


def test_no_change_makes_an_input_too_long() -> None:
    most = len(RECORDED) + 10
    for seed in range(200):
        assert len(mutate_conversation(RECORDED, most, random.Random(seed), by_bytes)) <= most


def test_a_command_set_is_still_one_when_it_is_changed() -> None:
    data = store_command("1.2.3").encode()
    changed = [mutate_command(data, MOST, random.Random(seed), by_bytes) for seed in range(200)]
    assert len(set(changed)) > 20
    assert sum(_is_command(one) for one in changed) > 50


def _is_command(data: bytes) -> bool:
    try:
        CommandSet.decode(data)
    except Exception:
        return False
    return True


def test_a_head_of_zeros_is_the_first_choice_of_all() -> None:
    settings = Settings(bytes(HEAD) + b"stream")
    assert [settings.one_of(7, 8), settings.one_of("a", "b", "c")] == [7, "a"]
    assert settings.stream == b"stream"


def test_settings_are_independent_of_each_other() -> None:
    taken = set()
    for number in range(6):
        settings = Settings(bytes((number,)) + bytes(HEAD))
        taken.add((settings.one_of(1, 2), settings.one_of(1, 2, 3)))
    assert len(taken) == 6


def test_what_was_heard_is_what_was_said() -> None:
    large = ct_dataset("1.2.4", bytes(40_000))
    stream = store_pdus("1.2.3", message_id=5) + command_pdu(store_command("1.2.4", 6))
    first, second = messages_in(stream + dataset_pdus(large))
    assert (first.number(MESSAGE_ID), first.instance) == (5, b"1.2.3")
    assert first.dataset == ct_dataset("1.2.3")
    assert (second.number(MESSAGE_ID), second.dataset) == (6, large)


def test_a_dataset_without_its_end_is_not_heard() -> None:
    (heard,) = messages_in(store_pdus("1.2.3")[:-1])
    assert heard.dataset is None


def test_a_run_s_log() -> None:
    log = (
        "#2\tINITED cov: 10 ft: 11 corp: 1/1b exec/s: 0 rss: 1Mb\n"
        "#9\tNEW    cov: 1527 ft: 5204 corp: 284/229Kb lim: 8192 exec/s: 492 rss: 68Mb\n"
        "stat::number_of_executed_units: 10351\n"
    )
    assert statistics_of(log, is_good=True) == Statistics(10351, 1527, 5204, 284)
    assert statistics_of("no progress", is_good=False) == Statistics(is_good=False)


def test_runs_are_counted_together() -> None:
    total = Statistics(1, 2, 3, 4) + Statistics(1, 2, 3, 4, is_good=False)
    assert total == Statistics(2, 4, 6, 8, is_good=False)


def test_a_finding_is_repeated_by_its_file(tmp_path: Path) -> None:
    file = tmp_path / "finding"
    file.write_bytes(store_command("1.2.3").encode())
    assert main(["repeat", "commands", str(file)]) == 0


def test_a_repeated_finding_fails_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(data: bytes) -> None:
        raise KeyError("a bug")

    monkeypatch.setattr("tests.fuzzing.decoding._check_command", fail)
    with pytest.raises(KeyError, match="a bug"):
        main(["repeat", "commands", str(TARGETS["commands"].inputs()[0])])
