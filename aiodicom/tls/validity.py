"""How long certificates and revocation lists are good for, and what is said of that."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from aiodicom.tls.files import (
    TLSError,
    certificates,
    elements,
    files_in,
    read,
    revocation_lists,
    sequence,
)
from aiodicom.tls.settings import TLS, Revocation, Verify

__all__ = ["Validity", "remark", "validities"]

_UTC_TIME, _GENERALIZED_TIME, _VERSION = 0x17, 0x18, 0xA0  # tags (X.680 8.6, RFC 5280 4.1)


@dataclass(frozen=True, slots=True)
class Validity:
    """From when to when something is good.

    Parameters
    ----------
    what : str
        What it is, with its file.
    begins, ends : datetime
        The moments.
    loss : str
        What is the matter outside of that time.
    warns : bool
        Whether its end is worth a warning before it comes. Revocation lists live for days.
    """

    what: str
    begins: datetime
    ends: datetime
    loss: str
    warns: bool = True


def remark(validity: Validity, now: datetime, days: float) -> tuple[int, str] | None:
    """Return what is to be said of something, and at which level; None where all is well.

    Parameters
    ----------
    validity : Validity
        Of what.
    now : datetime
        The present time.
    days : float
        From how many days before its end that is said.
    """
    if now < validity.begins:
        when = (
            f"is not valid before {_text(validity.begins)}: {validity.loss}, if our clock is right"
        )
        return logging.ERROR, f"{validity.what} {when}"
    if now >= validity.ends:
        when = f"has expired on {_text(validity.ends)}: {validity.loss}, until it is replaced"
        return logging.ERROR, f"{validity.what} {when}"
    left = validity.ends - now
    if not validity.warns or left >= timedelta(days=days):
        return None
    count = f"{left.days} day{'s' * (left.days != 1)}" if left.days else "less than a day"
    return logging.WARNING, f"{validity.what} expires on {_text(validity.ends)}, in {count}"


def _text(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def validities(tls: TLS) -> tuple[Validity, ...]:
    """Return how long everything is good for that is wanted of TLS; it reads the files.

    Revocation lists that OpenSSL finds in folders by itself are not among them.

    Raises
    ------
    TLSError
        Where a file cannot be read.
    """
    return tuple(_validities(tls))


def _validities(tls: TLS) -> Iterator[Validity]:
    if tls.certificate is not None:
        data = read(tls.certificate, "certificate")
        # A chain is as good as the first of its certificates that ends.
        yield from _first(
            f"certificate {os.fspath(tls.certificate)}", _of_certificates(data), "peers refuse it"
        )
    if tls.verify is not Verify.IGNORED:
        yield from _of_authorities(tls)
    if tls.revocation is not Revocation.NOBODYS:
        for path in tls.revocation_lists:
            data = read(path, "revocation list")
            loss = "no certificate of its issuer's is accepted"
            what = f"revocation list {os.fspath(path)}"
            yield from _first(what, _of_revocation_lists(data), loss, warns=False)


def _of_authorities(tls: TLS) -> Iterator[Validity]:
    """Yield one for each file and folder: of several in one the last to end counts."""
    loss = "no certificate of its is accepted"
    for path in tls.authorities:
        data = read(path, "authority")
        yield from _last(f"authority {os.fspath(path)}", _of_certificates(data), loss)
    for folder in tls.authority_folders:
        found = []
        for name in files_in(folder):
            with contextlib.suppress(TLSError):  # not ours to read
                found += _of_certificates(read(name, "authority"))
        yield from _last(f"authorities {os.fspath(folder)}", found, loss)


_Dates = tuple[datetime, datetime]


def _first(what: str, dates: list[_Dates], loss: str, *, warns: bool = True) -> Iterator[Validity]:
    if dates:
        begins, ends = (max(d[0] for d in dates), min(d[1] for d in dates))
        yield Validity(what, begins, ends, loss, warns)


def _last(what: str, dates: list[_Dates], loss: str) -> Iterator[Validity]:
    if dates:
        yield Validity(what, min(d[0] for d in dates), max(d[1] for d in dates), loss)


def _of_certificates(data: bytes) -> list[_Dates]:
    with contextlib.suppress(ValueError, IndexError):  # OpenSSL takes it: no reason to stop
        return [_of_certificate(der) for der in certificates(data)]
    return []


def _of_revocation_lists(data: bytes) -> list[_Dates]:
    with contextlib.suppress(ValueError):
        return [dates for der in revocation_lists(data) for dates in _of_revocation_list(der)]
    return []


def _of_certificate(der: bytes) -> _Dates:
    """Return when a certificate begins and ends (RFC 5280 4.1)."""
    content = [inside for kind, inside in _signed(der) if kind != _VERSION]
    begins, ends = (_moment(*time) for time in elements(content[3]))  # number, algorithm, issuer
    return begins, ends


def _of_revocation_list(der: bytes) -> list[_Dates]:
    """Return when a list begins and ends, if it does (RFC 5280 5.1)."""
    times = [element for element in _signed(der) if element[0] in (_UTC_TIME, _GENERALIZED_TIME)]
    return [(_moment(*times[0]), _moment(*times[1]))] if len(times) == 2 else []


def _signed(der: bytes) -> list[tuple[int, memoryview]]:
    """Return the elements of what is signed, which is the first thing in either of them."""
    for _, inside in elements(sequence(der)):
        return list(elements(inside))
    return []


def _moment(kind: int, content: memoryview) -> datetime:
    """Return a time (RFC 5280 4.1.2.5)."""
    digits = bytes(content).decode("ascii")
    if kind == _UTC_TIME:
        digits = ("19" if digits >= "50" else "20") + digits
    return datetime.strptime(digits, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)
