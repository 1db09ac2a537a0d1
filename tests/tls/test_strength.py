"""What is too weak for the present profiles, and what a session remembers."""

from __future__ import annotations

import base64
import contextlib
import datetime
import ssl
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from aiodicom.tls import PROFILES, TLS, Revocation, Verify, acceptor_context, requestor_context
from tests.certificates import ANONYMOUS, Authority, PrivateKey, complaint, handshake, talk

PRESENT = ["8996", "8996-mod", "bcp195-nd"]


def weak(folder: Path, key: PrivateKey) -> TLS:
    """Who shows a certificate of its own for a key, and is trusted by who trusts that."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "weak")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    paths = folder / "weak.key", folder / "weak.pem"
    form = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    paths[0].write_bytes(key.private_bytes(*form))
    paths[1].write_bytes(certificate.public_bytes(Encoding.PEM))
    return TLS(*paths, authorities=(paths[1],))


def shown_to(profile: str, requestor: TLS, both: TLS) -> None:
    """Show a certificate to an acceptor that trusts its issuer."""
    trusting = replace(both, authorities=requestor.authorities, profile=PROFILES[profile])
    lax = replace(PROFILES["8996"], security_level=0)
    old = replace(requestor, profile=lax, verify=Verify.IGNORED)
    handshake(requestor_context(old), acceptor_context(trusting))


@pytest.mark.parametrize("profile", PRESENT)
def test_a_peer_s_rsa_key_of_less_than_2048_bits(rsa: TLS, tmp_path: Path, profile: str) -> None:
    key = _rsa(1024)
    with pytest.raises(ssl.SSLError, match=r"(?i)key too small|too weak"):
        shown_to(profile, weak(tmp_path, key), rsa)


def _rsa(bits: int) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, bits)


@pytest.mark.parametrize("profile", PRESENT)
def test_a_peer_s_curve_of_less_than_256_bits(both: TLS, tmp_path: Path, profile: str) -> None:
    """The security level would let it pass: what is negotiated has no such curve."""
    shown_to(profile, weak(tmp_path, ec.generate_private_key(ec.SECP256R1())), both)
    key = ec.generate_private_key(ec.SECP224R1())
    with pytest.raises(ssl.SSLError):
        shown_to(profile, weak(tmp_path, key), both)


@pytest.mark.parametrize("profile", PRESENT)
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_key_exchange_of_less_than_256_bits(
    rsa: TLS, profile: str, version: ssl.TLSVersion
) -> None:
    acceptor = acceptor_context(replace(rsa, profile=PROFILES[profile], verify=Verify.IGNORED))
    asking = requestor_context(ANONYMOUS)
    asking.minimum_version = asking.maximum_version = version
    asking.set_ciphers("ECDHE-RSA-AES128-GCM-SHA256")
    asking.set_ecdh_curve("prime256v1")
    handshake(asking, acceptor)
    asking.set_ecdh_curve("secp224r1")
    with pytest.raises(ssl.SSLError):
        handshake(asking, acceptor)


@pytest.mark.parametrize("profile", PRESENT)
def test_a_certificate_that_is_signed_with_sha_1(rsa: TLS, tmp_path: Path, profile: str) -> None:
    authority = Authority(tmp_path, trustme.KeyType.RSA)
    own = authority.issue()
    trusted = (authority.certificate,)
    shown_to(profile, TLS(own.key, own.certificate, authorities=trusted), rsa)
    certificate = signed_with_sha_1(own.key, authority, tmp_path)
    with pytest.raises(ssl.SSLError, match=r"(?i)too weak"):
        shown_to(profile, TLS(own.key, certificate, authorities=trusted), rsa)


def signed_with_sha_1(key: Path, authority: Authority, folder: Path) -> Path:
    """OpenSSL's command still does that."""
    request, its_key, path = (folder / name for name in ("request", "its.key", "sha1.pem"))
    form = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    its_key.write_bytes(authority.private_key().private_bytes(*form))
    for command in (
        ("req", "-new", "-key", key, "-subj", "/CN=old", "-out", request),
        ("x509", "-req", "-sha1", "-in", request, "-CA", authority.certificate, "-CAkey", its_key,
         "-set_serial", "7", "-out", path),
    ):  # fmt: skip
        subprocess.run(["openssl", *command], check=True, capture_output=True, timeout=20)
    return path


def test_a_group_of_less_than_2048_bits_for_diffie_hellman(rsa: TLS, tmp_path: Path) -> None:
    """The second Oakley group (RFC 2409 6.2) has 1024."""
    prime = bytes.fromhex(
        "ffffffffffffffffc90fdaa22168c234c4c6628b80dc1cd129024e088a67cc74020bbea63b139b22514a08798e34"
        "04ddef9519b3cd3a431b302b0a6df25f14374fe1356d6d51c245e485b576625e7ec6f44c42e9a637ed6b0bff5cb6"
        "f406b7edee386bfb5a899fa5ae9f24117c4b1fe649286651ece65381ffffffffffffffff"
    )
    der = b"\x30\x81\x87\x02\x81\x81\x00" + prime + b"\x02\x01\x02"
    path = tmp_path / "dh.pem"
    path.write_bytes(
        b"-----BEGIN DH PARAMETERS-----\n"
        + base64.encodebytes(der)
        + b"-----END DH PARAMETERS-----\n"
    )
    assert "dh key too small" in complaint(replace(rsa, dh_parameters=path))


@pytest.mark.parametrize("profile", PRESENT)
def test_both_versions_are_there_and_the_later_one_is_preferred(rsa: TLS, profile: str) -> None:
    acceptor = replace(rsa, profile=PROFILES[profile])
    assert talk(replace(rsa, profile=PROFILES["8996"]), acceptor)[0].version() == "TLSv1.3"
    assert talk(replace(rsa, profile=PROFILES["bcp195-ex"]), acceptor)[0].version() == "TLSv1.2"


# Sessions ----------------------------------------------------------------------------------------


def resumes(
    requestor: ssl.SSLContext, acceptor: ssl.SSLContext, session: ssl.SSLSession | None
) -> tuple[bool, ssl.SSLSession | None]:
    """Tell whether a session goes on with a new connection; return that connection's."""
    to_requestor, to_acceptor = ssl.MemoryBIO(), ssl.MemoryBIO()
    asking = requestor.wrap_bio(to_requestor, to_acceptor, session=session)
    answering = acceptor.wrap_bio(to_acceptor, to_requestor, server_side=True)
    for _ in range(3):
        for end in (asking, answering):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
    assert answering.getpeercert()
    with contextlib.suppress(ssl.SSLWantReadError):
        asking.read(1)  # tickets of TLS 1.3 come after the handshake
    return bool(asking.session_reused), asking.session


def test_nobody_resumes_a_session_of_tls_1_3(both: TLS) -> None:
    requestor, acceptor = requestor_context(both), acceptor_context(both)
    _, session = resumes(requestor, acceptor, None)
    assert not resumes(requestor, acceptor, session)[0]


def test_a_session_of_tls_1_2_ends_when_files_are_read_again(
    both: TLS, authority: Authority
) -> None:
    """What was revoked in between is looked up then."""
    tls12 = replace(both, profile=PROFILES["bcp195-ex"])
    requestor = requestor_context(tls12)
    acceptor = acceptor_context(tls12)
    _, session = resumes(requestor, acceptor, None)
    assert resumes(requestor, acceptor, session)[0]
    assert both.certificate is not None
    crl = authority.revocation_list(str(both.certificate))
    strict = replace(tls12, revocation_lists=(crl,), revocation=Revocation.PEERS)
    with pytest.raises(ssl.SSLCertVerificationError, match="revoked"):
        resumes(requestor, acceptor_context(strict), session)
