"""TLS for both sides of an association: keys, certificates and profiles become contexts.

A `TLS` says what is wanted; `acceptor_context` and `requestor_context` make an
`ssl.SSLContext` of it, or raise `TLSError` with the file that is wrong and why. They read
files, and are for before a program listens or connects. `AcceptorTLS` does so again where the
files change.
"""

from __future__ import annotations

from aiodicom.tls.acceptor import AcceptorTLS
from aiodicom.tls.contexts import acceptor_context, requestor_context
from aiodicom.tls.files import TLSError
from aiodicom.tls.profiles import DEFAULT_PROFILE, PROFILES, Profile
from aiodicom.tls.settings import TLS, Revocation, Verify
from aiodicom.tls.suites import cipher_suites, openssl_name

__all__ = [
    "DEFAULT_PROFILE",
    "PROFILES",
    "TLS",
    "AcceptorTLS",
    "Profile",
    "Revocation",
    "TLSError",
    "Verify",
    "acceptor_context",
    "cipher_suites",
    "openssl_name",
    "requestor_context",
]
