"""When certificates and revocation lists end, and what is said of that."""

from __future__ import annotations

import logging
import ssl
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from aiodicom.tls import TLS, Revocation, Verify
from aiodicom.tls.validity import Validity, remark, validities
from tests.certificates import Authority, identity, self_signed

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)


def about(begins: float, ends: float, *, warns: bool = True) -> tuple[int, str] | None:
    """What is said, 30 days before its end, of what begins and ends so many days from now."""
    validity = Validity(
        "it", NOW + timedelta(begins), NOW + timedelta(ends), "all is lost", warns=warns
    )
    return remark(validity, NOW, 30)


@pytest.mark.parametrize(
    ("begins", "ends", "level", "text"),
    [
        (-1, 29.5, logging.WARNING, "it expires on 2026-07-01 00:00 UTC, in 29 days"),
        (-1, 1.5, logging.WARNING, "it expires on 2026-06-03 00:00 UTC, in 1 day"),
        (-1, 0.5, logging.WARNING, "it expires on 2026-06-02 00:00 UTC, in less than a day"),
        (-9, 0, logging.ERROR,
         "it has expired on 2026-06-01 12:00 UTC: all is lost, until it is replaced"),
        (1, 9, logging.ERROR,
         "it is not valid before 2026-06-02 12:00 UTC: all is lost, if our clock is right"),
    ],
)  # fmt: skip
def test_what_is_said(begins: float, ends: float, level: int, text: str) -> None:
    assert about(begins, ends) == (level, text)


def test_nothing_is_said_of_what_lasts() -> None:
    assert about(-1, 30) is None
    assert about(-1, 2, warns=False) is None
    assert about(-2, -1, warns=False) is not None


def one(tls: TLS) -> Validity:
    """Of the only thing with an end: no peer is verified."""
    (validity,) = validities(replace(tls, verify=Verify.IGNORED))
    return validity


@pytest.mark.parametrize("ends", [1, 365, 365 * 40])
def test_our_certificate_as_pem_and_as_der(authority: Authority, ends: float) -> None:
    """Beyond 2049 its dates are written in another way (RFC 5280 4.1.2.5)."""
    own = authority.issue(begins=-2, ends=ends)
    certificate = x509.load_pem_x509_certificate(own.certificate.read_bytes())
    for tls in (TLS(own.key, own.certificate), TLS(None, own.der().certificate, is_der=True)):
        assert one(tls).begins == certificate.not_valid_before_utc
        assert one(tls).ends == certificate.not_valid_after_utc
        assert one(tls).what == f"certificate {tls.certificate}"


def test_a_date_of_the_last_century(authority: Authority) -> None:
    own = authority.issue(begins=-365 * 40, ends=-365 * 35)
    assert one(TLS(own.key, own.certificate)).ends.year == datetime.now(UTC).year - 35


def test_a_chain_ends_with_the_first_of_its_certificates(tmp_path: Path) -> None:
    long, short = self_signed(tmp_path, ends=50), self_signed(tmp_path, ends=5)
    chain = tmp_path / "chain.pem"
    chain.write_bytes(long.certificate.read_bytes() + short.certificate.read_bytes())
    assert one(TLS(None, chain)).ends == one(TLS(None, short.certificate)).ends


def test_authorities_end_with_the_last_of_a_file_or_folder(both: TLS, tmp_path: Path) -> None:
    short, long = self_signed(tmp_path, ends=5), self_signed(tmp_path, ends=50)
    (folder := tmp_path / "folder").mkdir()
    for name, data in (("a", short), ("b", long)):
        (folder / name).write_bytes(data.certificate.read_bytes())
    (folder / "notes").write_text("nothing")
    bundle = tmp_path / "bundle.pem"
    bundle.write_bytes(long.certificate.read_bytes() + short.certificate.read_bytes())
    tls = replace(both, authorities=(bundle, short.certificate), authority_folders=(folder,))
    _, first, second, third = validities(tls)
    assert first.ends == third.ends > second.ends
    assert (first.what, third.what) == (f"authority {bundle}", f"authorities {folder}")


@pytest.mark.parametrize("encoding", [Encoding.PEM, Encoding.DER])
def test_a_revocation_list(both: TLS, authority: Authority, encoding: Encoding) -> None:
    """There is no warning before its end: it lives for days."""
    revoked = authority.issue().certificate
    path = authority.revocation_list(revoked, encoding=encoding, ends=3)
    tls = replace(both, revocation_lists=(path,), revocation=Revocation.PEERS)
    *_, its = validities(tls)
    assert its.what == f"revocation list {path}"
    assert not its.warns
    assert timedelta(days=2.9) < its.ends - datetime.now(UTC) < timedelta(days=3)


def test_what_is_not_used_has_no_end(both: TLS, authority: Authority) -> None:
    crl = authority.revocation_list(ends=-1)
    assert len(validities(replace(both, revocation_lists=(crl,)))) == 2
    assert len(validities(replace(both, verify=Verify.IGNORED))) == 1


def test_what_is_no_certificate_is_no_matter(tmp_path: Path) -> None:
    """The context complains, if there is something to complain of."""
    for number, data in enumerate((b"", b"nothing", b"\x30\x03\x30\x01\x05", b"\x30\x00")):
        (path := tmp_path / str(number)).write_bytes(data)
        assert validities(TLS(None, path, verify=Verify.IGNORED)) == ()


def test_the_dates_are_those_of_openssl(both: TLS) -> None:
    authority = identity(both).authority
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(authority)
    (theirs,) = context.get_ca_certs()
    (ours,) = validities(TLS(authorities=(authority,)))
    assert ours.ends.timestamp() == ssl.cert_time_to_seconds(str(theirs["notAfter"]))
