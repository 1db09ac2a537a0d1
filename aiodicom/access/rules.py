"""Who may associate: AE titles, addresses, certificates and user identities."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Any, Protocol, TypeAlias, TypeVar, cast

from aiodicom.ae_titles import check_ae_title
from aiodicom.certificate import PeerCertificate, canonical_subject
from aiodicom.describe import escape
from aiodicom.errors import AssociationRejected
from aiodicom.requests import AssociationInfo
from aiodicom.wire.items import UserIdentity

__all__ = [
    "Access",
    "AccessRules",
    "Binding",
    "Network",
    "Verifier",
    "network_of",
    "not_authenticated",
]

logger = logging.getLogger("aiodicom.access")

_T = TypeVar("_T")

Network: TypeAlias = IPv4Network | IPv6Network

LONGEST_RESPONSE = 65_000
"""Bytes of a server response: the item that it is in has 65,535, and holds other things too."""


class Verifier(Protocol):
    """What looks whether a user identity is genuine (PS3.7 D.3.3.7): an asynchronous callable.

    It raises `not_authenticated()` where it is not. It returns what a positive response holds: a
    Kerberos server ticket, a SAML response, a JSON Web Token; nothing, or None, for user names.
    """

    def __call__(
        self, association: AssociationInfo, identity: UserIdentity, /
    ) -> Awaitable[bytes | None]:
        """Verify one user identity."""


class AccessRules(Protocol):
    """What a server asks about its peers: an `Access`, an `AccessFile`, or anything like them."""

    def allows(self, address: str) -> bool:
        """See `Access.allows`."""

    def check(self, info: AssociationInfo) -> None:
        """See `Access.check`."""

    async def identify(self, info: AssociationInfo) -> bytes | None:
        """See `Access.identify`."""


def not_authenticated(message: str = "the user identity is not accepted") -> AssociationRejected:
    """Return the rejection of a user who is not who they say, or may not associate.

    The standard wants it permanent and from the service-provider, ACSE (PS3.7 D.3.3.7): (1, 2, 1).

    Parameters
    ----------
    message : str
        For the log; it does not travel.
    """
    return AssociationRejected(message, 1, 2, 1)


@dataclass(frozen=True, slots=True)
class Binding:
    """What a calling AE title must come with.

    Of several bindings of one title one is enough; within one, all that it names must hold.

    Parameters
    ----------
    calling_ae_title : str
        The title. It is known then, also where `Access.calling_ae_titles` does not list it.
    networks : iterable of str or network, optional
        Where it calls from: networks and addresses. By default anywhere.
    certificate_names : iterable of str, optional
        The names of which its certificate has one as common name, DNS name or URI.
    certificate_subjects : iterable of str, optional
        The subjects of which its certificate has one, as RFC 4514 writes them. Of names and
        subjects one is enough; without either no certificate is asked for.

    Raises
    ------
    ValueError
        Where one of them is no title, network or subject.
    """

    calling_ae_title: str
    networks: Iterable[str | Network] | None = None
    certificate_names: Iterable[str] | None = None
    certificate_subjects: Iterable[str] | None = None

    def __post_init__(self) -> None:
        for name, value in (
            ("calling_ae_title", check_ae_title(self.calling_ae_title)),
            ("networks", _several("networks", self, network_of)),
            ("certificate_names", _several("certificate_names", self, str)),
            ("certificate_subjects", _several("certificate_subjects", self, canonical_subject)),
        ):
            object.__setattr__(self, name, value)

    def objection(self, address: str, certificate: PeerCertificate | None) -> str:
        """Return what is wrong with who calls by this title; nothing is an empty string.

        Parameters
        ----------
        address : str
            Where the peer calls from.
        certificate : PeerCertificate or None
            What it shows, where that was verified.
        """
        if self.networks is not None and not _is_in(_address(address), self.networks):
            return "not from this address"
        names, subjects = self.certificate_names, self.certificate_subjects
        if names is None and subjects is None:
            return ""
        if certificate is None:
            return "it shows no certificate that was verified"
        if certificate.subject in (subjects or ()) or any(map(certificate.is_called, names or ())):
            return ""
        return f"not with the certificate of {escape(certificate.subject)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Who may associate. By default everybody.

    AE titles are compared with case, without padding. Whoever may not is rejected as PS3.8 table
    9-21 has it; a connection from an address that is not allowed is closed at once.

    Parameters
    ----------
    called_ae_titles : iterable of str, optional
        The only titles to answer to; any other one is (1, 1, 7). By default any is answered to.
    calling_ae_titles : iterable of str, optional
        The only titles to be called by, besides those of `bindings`; another one is (1, 1, 3).
        By default any.
    allow : iterable of str or network, optional
        The only networks and addresses to be called from: ``10.1.0.0/16``, ``fd00::/8``,
        ``10.1.2.3``. By default anywhere. IPv4 addresses in IPv6 ones count as IPv4.
    deny : iterable of str or network
        Networks and addresses not to be called from, whatever `allow` says.
    bindings : iterable of Binding
        Titles, and where and with which certificate they call: anything else is (1, 1, 3), as if
        the title was not known.
    verify : Verifier, optional
        Verifies the user identities that are offered, as `Passwords` does. Without one they
        are not looked at, and no positive response is sent (PS3.7 D.3.3.7).
    require_identity : bool
        Whether who offers no user identity is rejected: (1, 2, 1).

    Raises
    ------
    ValueError
        Where something is no title or network, or an identity is required and nothing verifies it.
    """

    called_ae_titles: Iterable[str] | None = None
    calling_ae_titles: Iterable[str] | None = None
    allow: Iterable[str | Network] | None = None
    deny: Iterable[str | Network] = ()
    bindings: Iterable[Binding] = ()
    verify: Verifier | None = None
    require_identity: bool = False
    _bound: Mapping[str, tuple[Binding, ...]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.require_identity and self.verify is None:
            raise ValueError("require_identity needs verify: nothing else looks at an identity")
        bindings = tuple(self.bindings)
        bound: dict[str, tuple[Binding, ...]] = {}
        for binding in bindings:
            title = binding.calling_ae_title
            bound[title] = (*bound.get(title, ()), binding)
        for name, value in (
            ("called_ae_titles", _several("called_ae_titles", self, check_ae_title)),
            ("calling_ae_titles", _several("calling_ae_titles", self, check_ae_title)),
            ("allow", _several("allow", self, network_of)),
            ("deny", _several("deny", self, network_of)),
            ("bindings", bindings),
            ("_bound", bound),
        ):
            object.__setattr__(self, name, value)

    def allows(self, address: str) -> bool:
        """Tell whether a connection from an address is taken.

        Parameters
        ----------
        address : str
            An IP address. What is none is not allowed where any rule is about addresses.
        """
        if self.allow is None and not self.deny:
            return True
        peer = _address(address)
        if peer is None or _is_in(peer, self.deny):
            return False
        return self.allow is None or _is_in(peer, self.allow)

    def check(self, info: AssociationInfo) -> None:
        """Look at titles, address and certificate.

        Parameters
        ----------
        info : AssociationInfo
            Who asks.

        Raises
        ------
        AssociationRejected
            Where somebody may not associate.
        """
        if not self.allows(info.address):  # the rules are newer than the connection
            raise AssociationRejected("its address is not allowed", 1, 1, 1)
        if self.called_ae_titles is not None and info.called_ae_title not in self.called_ae_titles:
            raise AssociationRejected("the called AE title is not ours", 1, 1, 7)
        title = info.calling_ae_title
        bindings = self._bound.get(title, ())
        if bindings:
            objections = [b.objection(info.address, info.certificate) for b in bindings]
            if all(objections):
                what = " or ".join(dict.fromkeys(objections))
                raise AssociationRejected(f"the calling AE title: {what}", 1, 1, 3)
        elif self.calling_ae_titles is not None and title not in self.calling_ae_titles:
            raise AssociationRejected("the calling AE title is not known", 1, 1, 3)

    async def identify(self, info: AssociationInfo) -> bytes | None:
        """Verify a user identity (PS3.7 D.3.3.7).

        Parameters
        ----------
        info : AssociationInfo
            Who asks, and which identity is offered.

        Returns
        -------
        bytes or None
            What a positive response holds, which may be nothing; None where none is to be sent.

        Raises
        ------
        AssociationRejected
            Where there is none and one is required, or it is not accepted.
        Exception
            What else the verifier raises: who is asking rejects then.
        """
        identity = info.user_identity
        if identity is None:
            if self.require_identity:
                raise not_authenticated("there is no user identity")
            return None
        if self.verify is None:
            return None
        response = bytes(await self.verify(info, identity) or b"")
        if len(response) > LONGEST_RESPONSE:
            raise ValueError(f"a response of {len(response)} bytes: {LONGEST_RESPONSE} at most")
        if not identity.positive_response_requested:
            return None
        # Of user names the response is empty (PS3.7 D.3.3.7.2).
        return response if identity.identity_type > 2 else b""


def _several(name: str, of: object, convert: Callable[[Any], _T]) -> tuple[_T, ...] | None:
    """Return a field of several values, which are converted; None where it is not given."""
    value = getattr(of, name)
    if value is None:
        return None
    if isinstance(value, str):  # which is several letters
        raise ValueError(f"{name} is {value!r}: it must be a list")
    return tuple(dict.fromkeys(convert(each) for each in value))


def network_of(given: str | Network) -> Network:
    """Return a network, or an address as one; IPv4 in IPv6 is IPv4.

    Raises
    ------
    ValueError
        Where it is neither.
    """
    network = _read_network(given) if isinstance(given, str) else given
    if isinstance(network, IPv6Network) and network.prefixlen >= 96:
        mapped = network.network_address.ipv4_mapped
        if mapped is not None:
            return IPv4Network((mapped, network.prefixlen - 96))
    return network


def _read_network(text: str) -> Network:
    try:
        return ip_network(text)
    except ValueError:
        pass
    try:
        whole = ip_network(text, strict=False)
    except ValueError:
        raise ValueError(
            f"{text!r} is no network or address, such as 10.1.0.0/16, fd00::/8 or 10.1.2.3"
        ) from None
    raise ValueError(f"{text!r} is an address in a network: write {whole}, or the address alone")


def _address(text: str) -> IPv4Address | IPv6Address | None:
    """Return an address that is compared with networks; None for what is none."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        return address.ipv4_mapped or address
    return address


def _is_in(address: IPv4Address | IPv6Address | None, networks: Iterable[str | Network]) -> bool:
    """Tell whether an address is in one of some networks, which `network_of` has made."""
    return address is not None and any(address in n for n in cast(Iterable[Network], networks))
