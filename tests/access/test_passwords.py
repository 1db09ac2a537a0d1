"""User names and passwords: the file of hashes, and the verifier."""

from __future__ import annotations

import asyncio
import getpass
import re
from collections.abc import Iterator

import pytest

from aiodicom import AssociationInfo, AssociationRejected, UserIdentity
from aiodicom.access import passwords
from aiodicom.access.passwords import Cost, PasswordHash, Passwords
from aiodicom.cli.passwords import main
from tests.peer import association_request

CHEAP = Cost(ln=1, r=1)
SALT = b"salt of 16 bytes"
INFO = AssociationInfo(association_request())


def hash_of(password: bytes, cost: Cost = CHEAP) -> PasswordHash:
    return PasswordHash(cost, SALT, cost.hash(password, SALT, 32))


USERS = Passwords({"ann": hash_of(b"secret"), "b:ob": hash_of(b"")})


async def outcome(identity: UserIdentity) -> tuple[int, int, int, str] | None:
    try:
        assert await USERS(INFO, identity) is None
    except AssociationRejected as rejection:
        return rejection.result, rejection.source, rejection.reason, str(rejection)
    return None


@pytest.mark.parametrize("identity", [
    UserIdentity.user("ann", "secret"), UserIdentity.user("b:ob", ""),
], ids=repr)  # fmt: skip
async def test_who_knows_the_password(identity: UserIdentity) -> None:
    assert await outcome(identity) is None


@pytest.mark.parametrize("identity", [
    UserIdentity.user("ann", "Secret"), UserIdentity.user("ann", ""), UserIdentity.user("ann"),
    UserIdentity.user("b:ob"), UserIdentity.user("nobody", "secret"), UserIdentity.user("", ""),
    UserIdentity(1, 0, b"ann", b"secret"), UserIdentity.kerberos(b"ann"),
    UserIdentity(2, 0, b"\xff\0", b"secret"), UserIdentity(3, 0, b"ann", b"secret"),
], ids=lambda identity: str(identity.primary))  # fmt: skip
async def test_all_others_are_told_the_same(identity: UserIdentity) -> None:
    assert await outcome(identity) == (1, 2, 1, "the user identity is not accepted")


async def test_who_is_not_known_is_nobody_whatever_the_hash_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(USERS, "_nobody", hash_of(b"guessed"))
    assert await outcome(UserIdentity.user("nobody", "guessed")) is not None


@pytest.mark.parametrize("name", ["ann", "nobody"])
async def test_who_is_not_known_costs_the_same_work(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[tuple[Cost, int, int]] = []

    def noted(self: Cost, password: bytes, salt: bytes, length: int) -> bytes:
        made.append((self, len(salt), length))
        return hashed(self, password, salt, length)

    hashed = Cost.hash
    monkeypatch.setattr(Cost, "hash", noted)
    await outcome(UserIdentity.user(name, "wrong"))
    assert made == [(CHEAP, 16, 32)]


async def test_one_password_at_a_time_and_not_too_many_that_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(passwords, "MOST_WAITING", 3)
    users = Passwords({"ann": hash_of(b"secret")})
    identity = UserIdentity.user("ann", "secret")
    async with users._turn:
        waiting = [asyncio.ensure_future(users(INFO, identity)) for _ in range(4)]
        done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    (error,) = (task.exception() for task in done)
    assert isinstance(error, AssociationRejected)
    assert (error.result, error.source, error.reason) == (2, 3, 1)
    assert (await asyncio.gather(*waiting, return_exceptions=True)).count(None) == 3
    assert await users(INFO, identity) is None


# The file --------------------------------------------------------------------------------------


def test_a_hash_is_read_as_it_is_written() -> None:
    made = PasswordHash.of(b"secret")
    assert re.fullmatch(r"\$scrypt\$ln=14,r=8,p=1\$[^$=]{22}\$[^$=]{43}", str(made))
    again = PasswordHash.parse(str(made))
    assert again == made
    assert again.is_of(b"secret")
    assert not again.is_of(b"Secret")
    assert made != PasswordHash.of(b"secret")


def test_the_hash_of_another_program() -> None:
    """RFC 7914 section 12, in the form that passlib writes."""
    text = (
        "$scrypt$ln=10,r=8,p=16$TmFDbA$/bq+HJ00cgB4VucZDQHp/nxq18vII3gw53N2Y0s3MWIurzDZLiKjiG/xCSedmD"
        "DaxyevuUqD7m2DYMvfoswGQA"
    )
    assert PasswordHash.parse(text).is_of(b"password")


def test_users_and_what_is_left_out() -> None:
    text = f"# users\n\n  ann:{hash_of(b'a')}  \nb:ob:{hash_of(b'b')}\n"
    users = Passwords.parse(text)
    assert len(users) == 2
    assert len(Passwords.parse("")) == 0


GOOD = str(hash_of(b"x"))


@pytest.mark.parametrize(("text", "message"), [
    ("ann", "line 1 is not NAME:HASH"),
    (f"\n:{GOOD}", "line 2 is not NAME:HASH"),
    (f"ann:{GOOD}\nann:{GOOD}", "line 2: this user is there twice"),
    ("ann:secret", "line 1: there is no hash such as"),
    (f"ann:{GOOD}xx", "line 1: its salt or hash is no base64"),
    (f"ann:{GOOD[:-31]}", "line 1: its hash has 9 bytes"),
    ("ann:$scrypt$ln=99,r=8,p=1$c2FsdA$c2FsdA", "line 1: its hash costs nothing, or more than"),
    ("ann:$scrypt$ln=14,r=64,p=1$c2FsdA$c2FsdA", "line 1: its hash costs nothing, or more than"),
    ("ann:$scrypt$ln=14,r=8,p=17$c2FsdA$c2FsdA", "line 1: its hash costs nothing, or more than"),
    ("ann:$scrypt$ln=0,r=8,p=1$c2FsdA$c2FsdA", "line 1: its hash costs nothing, or more than"),
    ("ann:$scrypt$ln=14,r=8,p=1$c2FsdA$c2FsdA", "line 1: its hash has 4 bytes"),
    (f"ann:{GOOD}\nbob:{hash_of(b'b', Cost(ln=2, r=1))}", "differ in their costs"),
])  # fmt: skip
def test_what_is_no_file_of_users(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as raised:
        Passwords.parse(text)
    assert "secret" not in str(raised.value)
    assert GOOD not in str(raised.value)


def test_a_hash_is_not_shown() -> None:
    assert GOOD[-20:] not in repr(hash_of(b"x"))


# The command -----------------------------------------------------------------------------------


def typed(monkeypatch: pytest.MonkeyPatch, *words: str) -> None:
    waiting: Iterator[str] = iter(words)
    monkeypatch.setattr(getpass, "getpass", lambda _: next(waiting))


def test_the_command_prints_a_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    typed(monkeypatch, "secret", "secret")
    assert main(["ann"]) == 0
    name, _, hashed = capsys.readouterr().out.strip().partition(":")
    assert name == "ann"
    assert PasswordHash.parse(hashed).is_of(b"secret")


@pytest.mark.parametrize("arguments", [[], [""], ["#a"], ["--help"], ["a", "b"], ["a\nb"]])
def test_the_command_says_what_it_takes(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 1
    assert "usage: " in capsys.readouterr().err


def test_a_password_that_is_typed_differently_the_second_time(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    typed(monkeypatch, "secret", "secrte")
    assert main(["ann"]) == 1
    assert capsys.readouterr().out == ""
