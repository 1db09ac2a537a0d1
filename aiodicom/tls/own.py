"""Our own private key and certificate."""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable

from aiodicom.tls.files import (
    StrPath,
    TLSError,
    about,
    as_file,
    certificates,
    is_der,
    is_encrypted,
    key_as_pem,
    pem,
    read,
    words,
)
from aiodicom.tls.settings import TLS

__all__ = ["load_own"]


def load_own(context: ssl.SSLContext, tls: TLS) -> None:
    """Load our private key and certificate.

    Raises
    ------
    TLSError
        Where they are not there, not what they should be, or do not belong together.
    """
    if tls.certificate is None:
        if tls.key is not None:
            raise TLSError(f"private key {os.fspath(tls.key)}: its certificate is missing")
        return
    certificate = _own(tls.certificate, "certificate", tls.is_der)
    if tls.is_der:
        certificate = pem("CERTIFICATE", certificate)
    with about(f"certificate {os.fspath(tls.certificate)}"):
        _check_certificate(certificate)
    path = tls.certificate if tls.key is None else tls.key
    what = f"private key {os.fspath(path)}"
    key = _own(path, "private key", tls.is_der)
    if tls.is_der:
        with about(what):
            key = key_as_pem(key)
    if b" PRIVATE KEY-----" not in key:
        raise TLSError(f"{what}: it holds no private key")
    with as_file(certificate) as certificate_file, as_file(key) as key_file, about(what):
        try:
            context.load_cert_chain(certificate_file, key_file, _password(tls, what))
        except ssl.SSLError as error:
            raise TLSError(_why_not(error, tls, what, is_encrypted(key))) from None


def _own(path: StrPath, what: str, wants_der: bool) -> bytes:
    data = read(path, what)
    if is_der(data) and not wants_der:
        raise TLSError(f"{what} {os.fspath(path)}: it is DER, not PEM (--der-keys)")
    if wants_der and not is_der(data):
        instead = "PEM, not DER (--pem-keys)" if b"-----BEGIN " in data else "not DER"
        raise TLSError(f"{what} {os.fspath(path)}: it is {instead}")
    return data


def _check_certificate(data: bytes) -> None:
    found = certificates(data)
    if not found:
        raise ValueError("it holds no certificate")
    ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=b"".join(found))


def _password(tls: TLS, what: str) -> Callable[[], str]:
    """Return what OpenSSL calls if the key is encrypted; otherwise it would ask the terminal."""

    def ask() -> str:
        if tls.password is None:
            raise TLSError(f"{what}: it is encrypted, and needs its password (--use-passwd)")
        return tls.password() if callable(tls.password) else tls.password

    return ask


def _why_not(error: ssl.SSLError, tls: TLS, what: str, is_key_encrypted: bool) -> str:
    """Return why a key and a certificate that were read are not accepted."""
    certificate = f"certificate {os.fspath(tls.certificate or '')}"
    if error.reason in ("KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH", "NO_CERTIFICATE_ASSIGNED"):
        return f"{what}: it does not belong to {certificate}"
    if error.reason:  # of the certificate's use, such as a key too small for the profile
        return f"{certificate}: {words(error)}"
    if is_key_encrypted:
        return f"{what}: wrong password, or an encryption that OpenSSL does not know"
    return f"{what}: it is damaged, or of a kind that OpenSSL does not know"
