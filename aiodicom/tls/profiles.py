"""The secure transport connection profiles of PS3.15 annex B, and those before them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ssl import TLSVersion
from types import MappingProxyType

__all__ = ["DEFAULT_PROFILE", "PROFILES", "Profile"]


@dataclass(frozen=True, slots=True)
class Profile:
    """Which versions of TLS and which cipher suites are negotiated.

    Parameters
    ----------
    title : str
        The name that PS3.15 has for it.
    suites : tuple of str
        Up to TLS 1.2, under the RFC's names, the preferred ones first. Those that OpenSSL
        lacks are left out, as long as one remains; none at all leaves the choice to OpenSSL,
        as it is for TLS 1.3.
    minimum, maximum : ssl.TLSVersion
        The versions.
    security_level : int
        OpenSSL's: 2 wants 112 bits everywhere, so RSA keys of 2048 and no SHA-1 signatures;
        0 takes everything, which TLS 1.0 needs.
    is_closed : bool
        Whether no further suite may be added.
    """

    title: str
    suites: tuple[str, ...]
    minimum: TLSVersion = TLSVersion.TLSv1_2
    maximum: TLSVersion = TLSVersion.MAXIMUM_SUPPORTED
    security_level: int = 2
    is_closed: bool = False

    @property
    def is_encrypted(self) -> bool:
        """Whether what travels is kept secret."""
        return not any("_NULL_" in suite for suite in self.suites)


_ECDHE_RSA = (
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
)
_ECDHE_ECDSA = (
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
)
_DHE_RSA = (
    "TLS_DHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_DHE_RSA_WITH_AES_256_GCM_SHA384",
)
_FURTHER_ECDHE = (
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_RSA_WITH_CAMELLIA_128_GCM_SHA256",
    "TLS_ECDHE_RSA_WITH_CAMELLIA_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_CAMELLIA_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_CAMELLIA_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CCM",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CCM",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CCM_8",
)
_AES = "TLS_RSA_WITH_AES_128_CBC_SHA"
_3DES = "TLS_RSA_WITH_3DES_EDE_CBC_SHA"

DEFAULT_PROFILE = Profile("BCP 195 RFC 8996 (PS3.15 B.12)", (*_ECDHE_RSA, *_ECDHE_ECDSA))

PROFILES: Mapping[str, Profile] = MappingProxyType(
    {
        "8996": DEFAULT_PROFILE,
        "8996-mod": Profile(
            "Modified BCP 195 RFC 8996 (PS3.15 B.13)",
            (*_ECDHE_RSA, *_ECDHE_ECDSA, *_FURTHER_ECDHE),
            is_closed=True,
        ),
        "bcp195-nd": Profile(
            "Non-Downgrading BCP 195 (PS3.15 B.10, retired)", (*_ECDHE_RSA, *_DHE_RSA)
        ),
        "bcp195": Profile(
            "BCP 195 (PS3.15 B.9, retired)",
            (*_ECDHE_RSA, *_DHE_RSA, _AES, _3DES),
            TLSVersion.MINIMUM_SUPPORTED,
            security_level=0,
        ),
        "bcp195-ex": Profile(
            "Extended BCP 195 (PS3.15 B.11, retired)",
            (*_ECDHE_RSA, *_DHE_RSA, *_ECDHE_ECDSA),
            maximum=TLSVersion.TLSv1_2,
            is_closed=True,
        ),
        "basic": Profile(
            "Basic (PS3.15 B.1, retired)",
            (_3DES,),
            TLSVersion.MINIMUM_SUPPORTED,
            TLSVersion.TLSv1_2,
            security_level=0,
        ),
        "aes": Profile(
            "AES (PS3.15 B.3, retired)",
            (_AES, _3DES),
            TLSVersion.MINIMUM_SUPPORTED,
            TLSVersion.TLSv1_2,
            security_level=0,
        ),
        "null": Profile(
            "authenticated and not encrypted (IHE ATNA, retired)",
            ("TLS_RSA_WITH_NULL_SHA",),
            TLSVersion.MINIMUM_SUPPORTED,
            TLSVersion.TLSv1_2,
            security_level=0,
        ),
    }
)
"""The profiles, under the ends of the options that choose them."""
