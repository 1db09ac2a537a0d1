"""The contexts that do what is wanted of TLS."""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable

from aiodicom.tls.alerts import AlertingContext
from aiodicom.tls.files import TLSError, about, as_file, is_der, pem, read
from aiodicom.tls.own import load_own
from aiodicom.tls.profiles import Profile
from aiodicom.tls.settings import TLS, Verify
from aiodicom.tls.suites import cipher_suites, is_tls13, openssl_name
from aiodicom.tls.trust import load_authorities, load_revocation_lists

__all__ = ["acceptor_context", "requestor_context"]

ALPN = "dicom"
"""The protocol in the handshake, so that no other service can be taken for this one (RFC 7301)."""

FFDHE2048 = b"""\
-----BEGIN DH PARAMETERS-----
MIIBCAKCAQEA//////////+t+FRYortKmq/cViAnPTzx2LnFg84tNpWp4TZBFGQz
+8yTnc4kmz75fS/jY2MMddj2gbICrsRhetPfHtXV/WVhJDP1H18GbtCFY2VVPe0a
87VXE15/V8k1mE8McODmi3fipona8+/och3xWKE2rec1MKzKT0g6eXq8CrGCsyT7
YdEIqUuyyOP7uWrat2DX9GgdT0Kj3jlN9K5W7edjcrsZCwenyO4KbXCeAvzhzffi
7MA0BM0oNC9hkXL+nOmFg/+OTxIy7vKBg8P+OxtMb61zO7X8vC7CIAXFjvGDfRaD
ssbzSibBsu/6iGtCOGEoXJf//////////wIBAg==
-----END DH PARAMETERS-----
"""
"""RFC 7919 appendix A.1."""


def acceptor_context(tls: TLS) -> ssl.SSLContext:
    """Return the context of an acceptor. It reads files, and may ask for the key's password.

    Parameters
    ----------
    tls : TLS
        What is wanted.

    Raises
    ------
    TLSError
        Where a file is missing or wrong, or nothing could ever be verified.
    """
    if tls.certificate is None:
        raise TLSError("an acceptor needs a private key and a certificate (--enable-tls)")
    context = _context(AlertingContext(ssl.PROTOCOL_TLS_SERVER), tls)
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.num_tickets = 0  # nobody resumes; a requestor that is quick to leave would reset
    _load_dh_parameters(context, tls)
    if tls.server_name:
        context.sni_callback = _expecting(tls.server_name)
    return context


def requestor_context(tls: TLS) -> ssl.SSLContext:
    """Return the context of a requestor. It reads files, and may ask for the key's password.

    Parameters
    ----------
    tls : TLS
        What is wanted.

    Raises
    ------
    TLSError
        Where a file is missing or wrong, or nothing could ever be verified.
    """
    if tls.check_host_name and tls.verify is Verify.IGNORED:
        raise TLSError("a host name is checked in a certificate, which must not be ignored")
    context = _context(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), tls)
    context.check_hostname = tls.check_host_name
    return context


def _context(context: ssl.SSLContext, tls: TLS) -> ssl.SSLContext:
    context.check_hostname = False
    context.minimum_version = tls.profile.minimum
    context.maximum_version = tls.profile.maximum
    context.set_alpn_protocols([ALPN])
    _set_ciphers(context, tls)
    load_own(context, tls)
    load_authorities(context, tls)
    load_revocation_lists(context, tls)
    context.verify_mode = tls.verify.value
    return context


def _set_ciphers(context: ssl.SSLContext, tls: TLS) -> None:
    profile = tls.profile
    names = [cipher_suites()[name] for name in profile.suites if name in cipher_suites()]
    if not names and profile.suites:
        wanted = ", ".join(profile.suites)
        raise TLSError(f"profile {profile.title}: this OpenSSL lacks {wanted}; use another profile")
    added = {suite: _added(suite, profile) for suite in tls.suites}
    # Those of TLS 1.3 are there anyway: ssl cannot choose among them.
    names += [name for suite, name in added.items() if not is_tls13(suite)]
    context.set_ciphers(f"{':'.join(names) or 'DEFAULT'}:@SECLEVEL={profile.security_level}")


def _added(suite: str, profile: Profile) -> str:
    """Return OpenSSL's name of a suite that a profile gets in addition."""
    name = openssl_name(suite)
    if profile.is_closed:
        raise TLSError(f"{suite}: profile {profile.title} allows no further cipher suites")
    if "_NULL_" in suite and profile.is_encrypted:
        raise TLSError(f"{suite} encrypts nothing, and profile {profile.title} has to")
    if is_tls13(suite) and profile.maximum is ssl.TLSVersion.TLSv1_2:
        raise TLSError(f"{suite} is for TLS 1.3, and profile {profile.title} ends before")
    return name


def _load_dh_parameters(context: ssl.SSLContext, tls: TLS) -> None:
    what, data = "Diffie-Hellman parameters", FFDHE2048
    if tls.dh_parameters is not None:
        data = read(tls.dh_parameters, what)
        what = f"{what} {os.fspath(tls.dh_parameters)}"
    if is_der(data):
        data = pem("DH PARAMETERS", data)
    with about(what), as_file(data) as name:
        if b"DH PARAMETERS-----" not in data:
            raise ValueError("it holds none")
        context.load_dh_params(name)


def _expecting(name: str) -> Callable[[ssl.SSLObject, str | None, ssl.SSLContext], int | None]:
    def check(_: ssl.SSLObject, asked: str | None, context: ssl.SSLContext) -> int | None:
        if asked is None or asked.lower() == name.lower():
            return None
        return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME

    return check
