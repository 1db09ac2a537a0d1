"""Cipher suites under the names of their RFCs, which OpenSSL calls differently up to TLS 1.2."""

from __future__ import annotations

import functools
import re
import ssl
from collections.abc import Mapping
from types import MappingProxyType

from aiodicom.tls.files import TLSError

__all__ = ["TLS13_PREFIX", "cipher_suites", "is_tls13", "openssl_name"]

TLS13_PREFIX = "TLS_"
"""OpenSSL uses the RFC's names for the suites of TLS 1.3."""

# ECDHE-RSA-AES128-GCM-SHA256: key exchange, cipher, digest.
_NAME = re.compile(
    r"(?:(?P<exchange>(?:ECDHE|DHE)(?:-(?:RSA|ECDSA|DSS))?)-)?"
    r"(?P<cipher>(?:AES|ARIA|CAMELLIA)(?:128|256)(?:-GCM|-CCM8?)?"
    r"|CHACHA20-POLY1305|DES-CBC3|NULL)"
    r"(?:-(?P<digest>SHA\d*))?"
)


def _rfc_name(name: str) -> str | None:
    """Return the RFC's name of an OpenSSL suite; None for kinds that nobody here wants."""
    if name.startswith(TLS13_PREFIX):
        return name
    found = _NAME.fullmatch(name)
    if found is None:
        return None
    exchange = found["exchange"] or "RSA"
    if exchange == "ECDHE":  # as OpenSSL has it for ARIA
        exchange = "ECDHE_RSA"
    digest = found["digest"] or ("SHA256" if "CHACHA20" in name else "")
    parts = (exchange, "WITH", _rfc_cipher(found["cipher"]), digest)
    return TLS13_PREFIX + "_".join(filter(None, parts)).replace("-", "_")


def _rfc_cipher(cipher: str) -> str:
    if cipher == "DES-CBC3":
        return "3DES_EDE_CBC"
    cipher = cipher.replace("CCM8", "CCM_8")
    cipher, is_block_cipher = re.subn("(?<=[A-Z])(128|256)", r"_\1", cipher)
    has_mode = not cipher.endswith(("128", "256"))
    return cipher if has_mode or not is_block_cipher else f"{cipher}_CBC"


@functools.cache
def cipher_suites() -> Mapping[str, str]:
    """Return OpenSSL's name of each cipher suite there is, under the RFC's, strongest first.

    Those that authenticate nobody, or with a shared secret or a password, are not among them.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_ciphers("ALL:COMPLEMENTOFALL:!aNULL:!PSK:!SRP:@SECLEVEL=0")
    names = [cipher["name"] for cipher in context.get_ciphers()]
    named = {rfc: name for name in names if (rfc := _rfc_name(name)) is not None}
    return MappingProxyType(named)


def openssl_name(name: str) -> str:
    """Return what OpenSSL calls a cipher suite.

    Parameters
    ----------
    name : str
        What the RFCs call it, such as ``TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256``.

    Raises
    ------
    TLSError
        Where this OpenSSL has no such suite.
    """
    suites = cipher_suites()
    if name not in suites:
        raise TLSError(f"no cipher suite {name!r} here; there are {', '.join(suites)}")
    return suites[name]


def is_tls13(name: str) -> bool:
    """Tell whether a suite is one of TLS 1.3, by its RFC's name."""
    return "_WITH_" not in name
