"""Keys and certificates that change while a server runs."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import os
import shutil
import ssl
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

import aiodicom
from aiodicom.tls import (
    TLS,
    AcceptorTLS,
    Revocation,
    TLSError,
    acceptor,
    acceptor_context,
    requestor_context,
)
from aiodicom.tls.watching import Appearance, appearance
from aiodicom.wire.dimse import Status
from tests.certificates import Authority, Identity
from tests.serving import serving, until
from tests.tls_peer import TLSPeer


@pytest.fixture
def own(authority: Authority, tmp_path: Path) -> TLS:
    """What the server wants: files that tests replace."""
    tls = TLS(tmp_path / "key", tmp_path / "certificate", authorities=(tmp_path / "authority",))
    put(authority.issue("first"), tls)
    return tls


def put(identity: Identity, tls: TLS) -> None:
    """Replace our key, its certificate and whom we trust."""
    assert tls.key is not None
    assert tls.certificate is not None
    shutil.copyfile(identity.key, tls.key)
    shutil.copyfile(identity.certificate, tls.certificate)
    shutil.copyfile(identity.authority, tls.authorities[0])


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acceptor, "SETTLED", 0.02)


@contextlib.asynccontextmanager
async def behind(
    tls: TLS, look_every: float | None = None, warn_days: float = 30
) -> AsyncIterator[tuple[AcceptorTLS, int]]:
    """Serve with files that may change; yield their reader and the port."""
    its = await asyncio.to_thread(AcceptorTLS, tls, look_every=look_every, warn_days=warn_days)
    async with serving(ssl=its) as server:
        yield its, server.port


async def shown(port: int, tls: TLS) -> str:
    """Echo; return the name in the certificate that the server shows."""
    context = await asyncio.to_thread(requestor_context, tls)
    async with TLSPeer(port, context) as peer:
        await peer.associate()
        assert await peer.echo() == Status.SUCCESS
        certificate = peer.writer.get_extra_info("peercert")
        await peer.release()
        return str(certificate["subjectAltName"][0][1])


def lines(caplog: pytest.LogCaptureFixture, level: int = logging.WARNING) -> list[str]:
    return [
        record.getMessage()
        for record in caplog.records
        if record.name == "aiodicom.tls" and record.levelno >= level
    ]


# Reloading ---------------------------------------------------------------------------------------


async def test_new_connections_get_the_new_certificate_and_old_ones_stay(
    own: TLS, both: TLS, authority: Authority
) -> None:
    context = await asyncio.to_thread(requestor_context, both)
    async with behind(own) as (its, port), TLSPeer(port, context) as peer:
        await peer.associate()
        await asyncio.to_thread(put, authority.issue("second"), own)
        assert await shown(port, both) == "first"
        line = await its.reload()
        assert line.startswith(f"certificate {own.certificate}, valid until 20")
        assert await shown(port, both) == "second"
        assert await peer.echo() == Status.SUCCESS


async def test_who_is_trusted_can_change(own: TLS, both: TLS, stranger: TLS) -> None:
    async with behind(own) as (its, port):
        await asyncio.to_thread(shutil.copyfile, stranger.authorities[0], own.authorities[0])
        await its.reload()
        assert await shown(port, replace(stranger, authorities=both.authorities)) == "first"
        with pytest.raises((OSError, EOFError)):
            await shown(port, both)


async def test_a_certificate_can_be_revoked(own: TLS, both: TLS, authority: Authority) -> None:
    assert both.certificate is not None
    none = await asyncio.to_thread(authority.revocation_list)
    tls = replace(own, revocation_lists=(none,), revocation=Revocation.PEERS)
    async with behind(tls) as (its, port):
        await shown(port, both)
        theirs = await asyncio.to_thread(authority.revocation_list, os.fspath(both.certificate))
        await asyncio.to_thread(shutil.copyfile, theirs, none)
        await its.reload()
        with pytest.raises((OSError, EOFError)):
            await shown(port, both)


@pytest.mark.parametrize("name", ["key", "certificate", "authorities"])
async def test_what_cannot_be_used_changes_nothing(own: TLS, both: TLS, name: str) -> None:
    value = getattr(own, name)
    path = value[0] if name == "authorities" else value
    async with behind(own) as (its, port):
        for spoil in (lambda: path.write_text("rubbish"), path.unlink):
            await asyncio.to_thread(spoil)
            with pytest.raises(TLSError, match=str(path)):
                await its.reload()
            assert await shown(port, both) == "first"


async def test_a_password_that_is_a_callable_is_called_each_time(own: TLS, both: TLS) -> None:
    asked: list[str] = []

    def ask() -> str:
        asked.append("")
        return "secret"

    assert own.key is not None
    assert own.certificate is not None
    identity = Identity(Path(own.key), Path(own.certificate), Path(own.authorities[0]))
    locked = await asyncio.to_thread(identity.key_as, password="secret")
    tls = replace(own, key=locked, password=ask)
    async with behind(tls) as (its, port):
        await its.reload()
        assert len(asked) == 2
        assert await shown(port, both) == "first"


# Looking -----------------------------------------------------------------------------------------


async def test_files_that_change_are_read(
    own: TLS, both: TLS, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with behind(own, look_every=0.01) as (its, port):
        before = its.context
        await asyncio.to_thread(put, authority.issue("second"), own)
        await until(lambda: its.context is not before)
        await until(lambda: bool(lines(caplog, logging.INFO)))
        assert lines(caplog, logging.INFO)[0].startswith("Files of TLS have changed: certificate ")
        assert await shown(port, both) == "second"


async def test_files_that_have_changed_before_it_serves_are_read_at_once(
    own: TLS, both: TLS, authority: Authority
) -> None:
    its = await asyncio.to_thread(AcceptorTLS, own, look_every=1000)
    await asyncio.to_thread(put, authority.issue("second"), own)
    first = its.context
    async with serving(ssl=its) as server:
        await until(lambda: its.context is not first)
        assert await shown(server.port, both) == "second"


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[TLS]:
    """One for each look at the files."""
    looks: list[TLS] = []

    def counted(tls: TLS) -> Appearance:
        looks.append(tls)
        return appearance(tls)

    monkeypatch.setattr(acceptor, "appearance", counted)
    return looks


async def test_files_that_do_not_change_are_not_read(own: TLS, looks: list[TLS]) -> None:
    async with behind(own, look_every=0.01) as (its, _):
        before = its.context
        await until(lambda: len(looks) > 3)
        assert its.context is before


async def test_a_half_written_pair_is_waited_for(
    own: TLS, both: TLS, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    """It is said once, and tried again although the files look the same."""
    second = await asyncio.to_thread(authority.issue, "second")
    assert own.key is not None
    assert own.certificate is not None
    async with behind(own, look_every=0.01) as (its, port):
        before = its.context
        await asyncio.to_thread(shutil.copyfile, second.certificate, own.certificate)
        await until(lambda: bool(lines(caplog)))
        failures = lines(caplog)
        assert failures[0].endswith("; what was read before stays")
        assert str(own.key) in failures[0]
        assert await shown(port, both) == "first"
        await asyncio.to_thread(shutil.copyfile, second.key, own.key)
        await until(lambda: its.context is not before)
        assert await shown(port, both) == "second"
        assert lines(caplog) == failures


async def test_the_same_failure_is_said_once(
    own: TLS, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[None] = []

    def fails(_: TLS) -> None:
        tries.append(None)
        raise TLSError("no")

    async with behind(own, look_every=0.01):
        monkeypatch.setattr(acceptor, "_read", fails)
        assert own.key is not None
        await asyncio.to_thread(Path(own.key).touch)
        await until(lambda: len(tries) > 2)
        assert lines(caplog) == ["no; what was read before stays"]


async def test_files_are_read_when_they_are_at_rest(
    own: TLS, monkeypatch: pytest.MonkeyPatch
) -> None:
    its = await asyncio.to_thread(AcceptorTLS, own)
    looks = iter("abcc")
    done: list[str] = []

    def look(_: TLS) -> Appearance:
        done.append("look")
        return frozenset({(next(looks), 0, 0, 0, 0, 0)})

    def read(_: TLS) -> None:
        done.append("read")
        raise TLSError("no")

    monkeypatch.setattr(acceptor, "appearance", look)
    monkeypatch.setattr(acceptor, "_read", read)
    await its._look()
    assert done == ["look"] * 4 + ["read"]


async def test_files_that_never_rest_are_read_all_the_same(
    own: TLS, monkeypatch: pytest.MonkeyPatch
) -> None:
    its = await asyncio.to_thread(AcceptorTLS, own)
    sizes = itertools.count()
    before = its.context
    monkeypatch.setattr(
        acceptor, "appearance", lambda _: frozenset({("log", 0, 0, next(sizes), 0, 0)})
    )
    await its._look()
    assert its.context is not before


async def test_a_change_while_files_are_read_is_seen_later(
    own: TLS, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = acceptor_context

    def made(tls: TLS) -> ssl.SSLContext:
        context = make(tls)
        put(authority.issue("second"), tls)
        return context

    monkeypatch.setattr(acceptor, "acceptor_context", made)
    its = await asyncio.to_thread(AcceptorTLS, own)
    monkeypatch.setattr(acceptor, "acceptor_context", make)
    before = its.context
    await its._look()
    assert its.context is not before


async def test_a_callable_that_fails_ends_nothing(
    own: TLS, both: TLS, caplog: pytest.LogCaptureFixture
) -> None:
    passwords = iter(["secret"])
    assert own.key is not None
    assert own.certificate is not None
    identity = Identity(Path(own.key), Path(own.certificate), Path(own.authorities[0]))
    locked = await asyncio.to_thread(identity.key_as, password="secret")

    def ask() -> str:
        for password in passwords:
            return password
        raise LookupError("vault")

    async with behind(replace(own, key=locked, password=ask), look_every=0.01) as (_, port):
        for _ in range(2):
            await asyncio.to_thread(locked.touch)
            await until(lambda: bool(lines(caplog)))
        assert lines(caplog) == ["TLS: LookupError; what was read before stays"]
        assert await shown(port, both) == "first"


async def test_what_is_wrong_again_is_said_again(
    own: TLS, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def point(to: str) -> None:
        (tmp_path / "next").symlink_to(to)
        (tmp_path / "next").replace(tmp_path / "link")

    point("key")
    its = await asyncio.to_thread(AcceptorTLS, replace(own, key=tmp_path / "link"))
    for _ in range(2):
        for to in ("nothing", "nothing", "key"):
            await asyncio.to_thread(point, to)
            await its._look()
    assert len(lines(caplog)) == 2


@pytest.mark.parametrize("change", ["link", "behind the link", "folder", "gone"])
def test_what_counts_as_a_change(own: TLS, tmp_path: Path, change: str) -> None:
    (folder := tmp_path / "folder").mkdir()
    (link := tmp_path / "link").symlink_to("authority")
    tls = replace(own, authorities=(link,), authority_folders=(folder,))
    before = appearance(tls)
    assert appearance(tls) == before
    if change == "link":
        link.unlink()
        link.symlink_to("certificate")
    elif change == "behind the link":
        (tmp_path / "new").write_text("another")
        (tmp_path / "new").replace(tmp_path / "authority")
    elif change == "folder":
        (folder / "new").write_text("")
    else:
        link.unlink()
    assert appearance(tls) != before


def test_a_file_that_is_written_again_counts_as_changed(own: TLS) -> None:
    """Also where its size, its inode and its date stay."""
    assert own.key is not None
    path = Path(own.key)
    status, before = path.stat(), appearance(own)
    path.write_bytes(path.read_bytes())
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert appearance(own) != before


# Reminding ---------------------------------------------------------------------------------------


async def test_a_certificate_that_is_about_to_end_is_one_line_at_the_start(
    own: TLS, authority: Authority, caplog: pytest.LogCaptureFixture, looks: list[TLS]
) -> None:
    await asyncio.to_thread(put, authority.issue(ends=10), own)
    async with behind(own, warn_days=9):
        assert lines(caplog) == []
    async with behind(own, look_every=0.001):
        await until(lambda: len(looks) > 5)
    (line,) = lines(caplog)
    assert line.startswith(f"certificate {own.certificate} expires on 20")
    assert line.endswith(", in 9 days")


async def test_it_is_said_every_day(
    own: TLS,
    authority: Authority,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also where no files are looked at."""
    await asyncio.to_thread(put, authority.issue(ends=10), own)
    monkeypatch.setattr(acceptor, "DAY", 0.01)
    async with behind(own, look_every=None):
        await until(lambda: len(lines(caplog)) > 2)


async def test_what_has_expired_is_an_error_until_it_is_replaced(
    own: TLS, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    await asyncio.to_thread(put, authority.issue(begins=-9, ends=-1), own)
    async with behind(own) as (its, _):
        (line,) = lines(caplog, logging.ERROR)
        assert "has expired on" in line
        await asyncio.to_thread(put, authority.issue(), own)
        await its.reload()
        await asyncio.to_thread(put, authority.issue(ends=3), own)
        await its.reload()
        assert lines(caplog)[1].endswith(", in 2 days")  # at once, although the day is not over
        assert len(lines(caplog)) == 2


async def test_of_several_processes_one_speaks(
    own: TLS, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    """What they know of each other was there before they were forked."""
    await asyncio.to_thread(put, authority.issue(ends=3), own)
    its = await asyncio.to_thread(AcceptorTLS, own)
    for _ in range(2):  # as two servers here
        async with aiodicom.serve(host="127.0.0.1", port=0, ssl=its):
            pass
    assert len(lines(caplog)) == 1


# Settings ----------------------------------------------------------------------------------------


def test_numbers_out_of_their_range(own: TLS) -> None:
    for wrong in ({"look_every": 0}, {"look_every": -1}, {"warn_days": -1}):
        with pytest.raises(ValueError, match=r"0 or more|more than 0"):
            AcceptorTLS(own, **wrong)


def test_what_is_wrong_at_the_start_is_raised(tmp_path: Path) -> None:
    with pytest.raises(TLSError, match="missing"):
        AcceptorTLS(TLS(None, tmp_path / "missing"))
