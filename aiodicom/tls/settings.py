"""What is wanted of TLS."""

from __future__ import annotations

import enum
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field

from aiodicom.tls.files import StrPath
from aiodicom.tls.profiles import DEFAULT_PROFILE, Profile

__all__ = ["TLS", "Revocation", "Verify"]


class Verify(enum.Enum):
    """What becomes of the peer's certificate."""

    REQUIRED = ssl.CERT_REQUIRED
    """It is verified; without one there is no connection."""
    IF_PRESENT = ssl.CERT_OPTIONAL
    """It is verified where there is one; an acceptor always has one."""
    IGNORED = ssl.CERT_NONE
    """It is not looked at."""


class Revocation(enum.Enum):
    """Whose certificates are looked up in the revocation lists."""

    NOBODYS = ssl.VerifyFlags(0)
    """No certificate is."""
    PEERS = ssl.VERIFY_CRL_CHECK_LEAF
    """The peer's own is."""
    WHOLE_CHAIN = ssl.VERIFY_CRL_CHECK_CHAIN
    """All of its chain are."""


@dataclass(frozen=True, slots=True)
class TLS:
    """What is wanted of TLS: keys, certificates, cipher suites.

    The chain of the peer's certificate is verified, its host name is not, unless asked for: AEs
    are known by their certificates, and often have no name.

    Parameters
    ----------
    key, certificate : path, optional
        Our private key, and our certificate with those in between that the peer lacks. An
        acceptor needs them, a requestor may be anonymous. One file can hold both.
    password : str or callable, optional
        The key's password, or what is called for it if the key is encrypted.
    is_der : bool
        Whether `key` and `certificate` are DER, instead of PEM. The other files may be either.
    authorities : tuple of path
        Files with certificates that are trusted.
    authority_folders : tuple of path
        Folders; each certificate in them is trusted. OpenSSL's hashed names are not needed,
        but looked up, for revocation lists and what is added later.
    revocation_lists : tuple of path
        Files with certificate revocation lists (RFC 5280).
    revocation : Revocation
        What they are used for.
    verify : Verify
        What becomes of the peer's certificate. An acceptor that ignores it does not ask for it.
    profile : Profile
        Versions and cipher suites.
    suites : tuple of str
        Further cipher suites, under the RFCs' names.
    dh_parameters : path, optional
        Diffie-Hellman parameters for an acceptor's DHE suites; by default the group ffdhe2048
        (RFC 7919).
    server_name : str
        The name that an acceptor expects of requestors that send one (RFC 6066 section 3); a
        requestor gives it to ``server_hostname``.
    check_host_name : bool
        Whether a requestor wants its ``server_hostname`` in the acceptor's certificate.
    """

    key: StrPath | None = None
    certificate: StrPath | None = None
    password: str | Callable[[], str] | None = field(default=None, repr=False)
    is_der: bool = False
    authorities: tuple[StrPath, ...] = ()
    authority_folders: tuple[StrPath, ...] = ()
    revocation_lists: tuple[StrPath, ...] = ()
    revocation: Revocation = Revocation.NOBODYS
    verify: Verify = Verify.REQUIRED
    profile: Profile = DEFAULT_PROFILE
    suites: tuple[str, ...] = ()
    dh_parameters: StrPath | None = None
    server_name: str = ""
    check_host_name: bool = False
