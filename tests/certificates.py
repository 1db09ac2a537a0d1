"""Authorities, keys and certificates for tests, as files of every kind that TLS takes."""

from __future__ import annotations

import datetime
import itertools
import ssl
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

from aiodicom.tls import TLS, TLSError, Verify, acceptor_context, requestor_context

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

ANONYMOUS = TLS(verify=Verify.IGNORED)

_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Identity:
    """A private key, the certificate that belongs to it, and who issued that, as PEM files."""

    key: Path
    certificate: Path
    authority: Path

    def private_key(self) -> PrivateKey:
        return _private_key(self.key.read_bytes())

    def key_as(
        self,
        encoding: Encoding = Encoding.PEM,
        form: PrivateFormat = PrivateFormat.PKCS8,
        password: str = "",
    ) -> Path:
        """The same key in another file, encrypted where there is a password."""
        encryption = BestAvailableEncryption(password.encode()) if password else NoEncryption()
        return _beside(
            self.key, self.private_key().private_bytes(encoding, form, encryption), ".key"
        )

    def der(self) -> Identity:
        """Both files as DER."""
        certificate = x509.load_pem_x509_certificate(self.certificate.read_bytes())
        der = _beside(self.certificate, certificate.public_bytes(Encoding.DER), ".crt")
        return Identity(self.key_as(Encoding.DER), der, self.authority)


class Authority:
    """Who issues certificates, and revokes them.

    Attributes
    ----------
    certificate : Path
        Its own, as PEM.
    """

    def __init__(
        self,
        folder: Path,
        key_type: trustme.KeyType = trustme.KeyType.ECDSA,
        ca: trustme.CA | None = None,
    ) -> None:
        self._folder = folder
        self._key_type = key_type
        self._ca = ca or trustme.CA(key_type=key_type)
        self.certificate = self._file("authority.pem", self._ca.cert_pem.bytes())

    def issue(self, name: str = "localhost", begins: float = -1, ends: float = 90) -> Identity:
        """A certificate that is good between two times, in days from now."""
        issued = self._ca.issue_cert(
            name, key_type=self._key_type, not_before=days(begins), not_after=days(ends)
        )
        chain = b"".join(blob.bytes() for blob in issued.cert_chain_pems)
        return Identity(
            self._file("key.pem", issued.private_key_pem.bytes()),
            self._file("certificate.pem", chain),
            self.certificate,
        )

    def between(self) -> Authority:
        """An authority that is certified by this one."""
        child = self._ca.create_child_ca(key_type=self._key_type)
        return Authority(self._folder, self._key_type, child)

    def tls(self, name: str = "localhost") -> TLS:
        """What one side with a certificate of this authority's wants of TLS, and trusts."""
        own = self.issue(name)
        return TLS(own.key, own.certificate, authorities=(self.certificate,))

    def private_key(self) -> PrivateKey:
        return _private_key(self._ca.private_key_pem.bytes())

    def certificate_der(self) -> Path:
        pem = self.certificate.read_text()
        return _beside(self.certificate, ssl.PEM_cert_to_DER_cert(pem), ".crt")

    def revocation_list(
        self,
        *revoked: Path | str,
        encoding: Encoding = Encoding.PEM,
        name: str = "revoked.crl",
        ends: float = 1,
    ) -> Path:
        """A list of certificates that were revoked, which may be empty; it ends so many days on."""
        authority = x509.load_pem_x509_certificate(self.certificate.read_bytes())
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(authority.subject)
            .last_update(days(-100))
            .next_update(days(ends))
        )
        for path in revoked:
            number = x509.load_pem_x509_certificate(Path(path).read_bytes()).serial_number
            builder = builder.add_revoked_certificate(
                x509.RevokedCertificateBuilder()
                .serial_number(number)
                .revocation_date(now - datetime.timedelta(hours=1))
                .build()
            )
        return self._file(
            name, builder.sign(self.private_key(), hashes.SHA256()).public_bytes(encoding)
        )

    def _file(self, name: str, data: bytes) -> Path:
        path = self._folder / f"{next(_numbers)}-{name}"
        path.write_bytes(data)
        return path


def days(number: float) -> datetime.datetime:
    """The time so many days from now."""
    return datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=number)


def self_signed(folder: Path, begins: float = -1, ends: float = 90) -> Identity:
    """A certificate that nobody has issued but who shows it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "nobody")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(next(_numbers))
        .not_valid_before(days(begins))
        .not_valid_after(days(ends))
        .sign(key, hashes.SHA256())
    )
    path = folder / f"{next(_numbers)}-self-signed.pem"
    path.write_bytes(certificate.public_bytes(Encoding.PEM))
    form = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return Identity(_beside(path, key.private_bytes(*form), ".key"), path, path)


def _private_key(pem: bytes) -> PrivateKey:
    key = load_pem_private_key(pem, None)
    assert isinstance(key, PrivateKey)
    return key


def _beside(path: Path, data: bytes, suffix: str) -> Path:
    other = path.with_name(f"{next(_numbers)}-{path.stem}{suffix}")
    other.write_bytes(data)
    return other


def handshake(
    requestor: ssl.SSLContext, acceptor: ssl.SSLContext, server_name: str = ""
) -> tuple[ssl.SSLObject, ssl.SSLObject]:
    """Let two contexts talk in memory until both are content; return both ends.

    Raises
    ------
    ssl.SSLError
        The first one of either side.
    """
    to_requestor, to_acceptor = ssl.MemoryBIO(), ssl.MemoryBIO()
    asking = requestor.wrap_bio(to_requestor, to_acceptor, server_hostname=server_name or None)
    answering = acceptor.wrap_bio(to_acceptor, to_requestor, server_side=True)
    unfinished = [asking, answering]
    for _ in range(10):
        unfinished = [end for end in unfinished if not _goes_on(end)]
    assert not unfinished
    return asking, answering


def _goes_on(end: ssl.SSLObject) -> bool:
    try:
        end.do_handshake()
    except ssl.SSLWantReadError:
        return False
    return True


def talk(requestor: TLS, acceptor: TLS, name: str = "") -> tuple[ssl.SSLObject, ssl.SSLObject]:
    """Let two sides talk, with a server name that may be empty."""
    return handshake(requestor_context(requestor), acceptor_context(acceptor), name)


def identity(tls: TLS) -> Identity:
    assert tls.key is not None
    assert tls.certificate is not None
    return Identity(Path(tls.key), Path(tls.certificate), Path(tls.authorities[0]))


def complaint(tls: TLS) -> str:
    """What an acceptor's context is refused with: one line."""
    with pytest.raises(TLSError) as caught:
        acceptor_context(tls)
    text = str(caught.value)
    assert "\n" not in text
    return text
