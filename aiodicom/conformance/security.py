"""Security: chapter 8 of the template, and its annex of details."""

from __future__ import annotations

from collections.abc import Iterator
from ssl import TLSVersion
from typing import TYPE_CHECKING

from aiodicom.conformance.configurations import Acceptor, Requestor
from aiodicom.conformance.markdown import Section, items, table
from aiodicom.conformance.wording import NONE, port

if TYPE_CHECKING:
    from aiodicom.tls import TLS

__all__ = ["details", "security"]

_OLDEST, _NEWEST = "1.0, where OpenSSL still has it", "1.3"
_VERSIONS = {
    TLSVersion.MINIMUM_SUPPORTED: _OLDEST,
    TLSVersion.TLSv1_2: "1.2",
    TLSVersion.TLSv1_3: "1.3",
    TLSVersion.MAXIMUM_SUPPORTED: _NEWEST,
}


def security(of: Acceptor | Requestor) -> Iterator[Section]:
    """Return chapter 8."""
    yield Section("8", "Security")
    yield Section("8.1", "Introduction", _introduction(of))
    yield Section("8.2", "External Network Requirements", _requirements(of))
    yield Section("8.3", "TCP Port Configuration", _ports(of))
    yield Section("8.4", "DICOM Security Profiles")
    yield Section("8.4.1", "Secure Use Profiles", NONE)
    yield Section("8.4.2", "Secure Transport Connection Profiles", _transport(of))
    yield Section("8.4.3", "Media Storage Security Profiles", NONE)
    yield Section("8.4.4", "Attribute Confidentiality Profiles", NONE)
    yield Section("8.4.5", "Digital Signature Profiles", NONE)
    yield Section("8.5", "User Identity Negotiation")
    offered = _offered(of) if isinstance(of, Requestor) else "No association is asked for."
    yield Section("8.5.1", "Association Initiation", offered)
    accepting = _verified(of) if isinstance(of, Acceptor) else "No association is accepted."
    yield Section("8.5.2", "Association Acceptance", accepting)
    yield Section("8.6", "Security of Web Services", NONE)
    yield Section("8.7", "Other Security Features", items(_others(of)))


def _introduction(of: Acceptor | Requestor) -> str:
    if of.tls is None:
        return (
            "TLS is not configured: what is transferred can be read and changed on its way, and AE "
            "titles prove nothing. It is for a network that is protected by other means."
        )
    if isinstance(of, Acceptor) and of.tls_port is not None:
        return "Associations are made over TLS on one port, and without it on the other; see 8.3."
    return "Associations are made over TLS."


def _requirements(of: Acceptor | Requestor) -> str:
    if isinstance(of, Requestor):
        return "DNS, where the other AE is given by its host name. Nothing else is asked for."
    asked = (
        "DNS is asked for names of other AEs where a command that is run for an object or a "
        "study takes them."
    )
    further = tuple(_told(of))
    return items((asked, *further)) if further else f"None. {asked}"


def _told(of: Acceptor) -> Iterator[str]:
    if of.announces:
        yield (
            "HTTP, to the endpoints that are configured: they are told of what was stored, with "
            "UIDs, AE titles and addresses, and DNS is asked for their names."
        )
    if of.traces:
        yield (
            "OpenTelemetry: spans of associations and objects, with UIDs, AE titles and addresses, "
            "are sent where the variables of the environment say."
        )


def _ports(of: Acceptor | Requestor) -> str:
    if isinstance(of, Requestor):
        return f"The other AE's port is configured ({port(of)}). No port is listened on."
    if of.tls_port is not None:
        text = f"{port(of)} without TLS, {of.tls_port} with TLS; both are configured."
    else:
        with_tls = "with TLS" if of.tls is not None else "without TLS"
        text = f"{port(of)}, {with_tls}; it is configured."
    if of.http is not None:
        host, number = of.http
        whose = " of the loopback" if host in ("127.0.0.1", "::1", "localhost") else ""
        text += (
            f" Besides, HTTP without TLS on port {number}{whose}: metrics, health, and who is "
            "sending, which is no DICOM service. Whoever reaches that port may read it."
        )
    return text


def _transport(of: Acceptor | Requestor) -> str:
    if of.tls is None:
        return "None is configured."
    lines = [
        (
            f"Versions and cipher suites of the profile {of.tls.profile.title}; see Annex C. "
            "Conformance to the whole of it is not claimed: which suites, groups and signature "
            "algorithms of TLS 1.3 there are is OpenSSL's."
        ),
        *_certificates(of, of.tls),
    ]
    if not of.tls.profile.is_encrypted:
        lines.append("What is transferred is authenticated and **not encrypted**.")
    return items(lines)


def _certificates(of: Acceptor | Requestor, tls: TLS) -> Iterator[str]:
    if tls.certificate is None:
        yield "No certificate is shown."
    else:
        yield "A certificate is shown."
    yield {
        "REQUIRED": "The other AE must show a certificate of a trusted authority.",
        "IF_PRESENT": "Where the other AE shows a certificate it must be of a trusted authority.",
        "IGNORED": "The other AE's certificate is not verified.",
    }[tls.verify.name]
    if tls.check_host_name:
        yield "The certificate must have the other AE's host name."
    if tls.revocation.name != "NOBODYS":
        whose = "its own" if tls.revocation.name == "PEERS" else "all of its chain"
        yield f"Revocation lists are looked at: {whose}. OCSP is not used."
    if isinstance(of, Acceptor) and tls.server_name:
        yield "Requests for another server name (SNI) are refused."


def _offered(of: Requestor) -> str:
    if not of.identity:
        return "None is offered."
    kind = {
        "user": "user name, with or without a passcode,",
        "kerberos": "Kerberos ticket",
        "saml": "SAML assertion",
        "jwt": "JSON Web Token",
    }[of.identity]
    wants = "must" if of.wants_response else "need not"
    return f"A {kind} is offered (PS3.7 D.3.3.7), and {wants} be confirmed."


def _verified(of: Acceptor) -> str:
    if of.access.verify is None:
        return (
            "Identities that are offered are not looked at and not confirmed; the association is "
            "accepted (PS3.7 D.3.3.7)."
        )
    needed = "one must be offered" if of.access.require_identity else "none need be offered"
    return (
        f"User name and passcode (type 2) are verified; {needed}. A positive response is sent "
        "where one is asked for."
    )


def _others(of: Acceptor | Requestor) -> Iterator[str]:
    if isinstance(of, Requestor):
        yield "The log has no word about patients above its level for debugging."
        return
    access = of.access
    if access.called_ae_titles is not None:
        yield f"Called AE titles: only {', '.join(sorted(access.called_ae_titles))}."
    if access.calling_ae_titles is not None:
        count = len(tuple(access.calling_ae_titles))
        yield f"Calling AE titles: only {count} that are configured."
    bindings = tuple(access.bindings)
    if bindings:
        titles = len({binding.calling_ae_title for binding in bindings})
        yield f"{titles} calling AE titles are bound to addresses or certificates."
    if access.allow is not None or tuple(access.deny):
        yield "Networks from which connections are taken are configured."
    if access == type(access)():
        yield "Any AE may associate, whatever it is called and wherever it calls from."
    yield "What a peer may cost is limited: associations, connections, memory, time; see 6.1."
    yield "The log has no word about patients above its level for debugging."


def details(of: Acceptor | Requestor) -> Iterator[Section]:
    """Return Annex C."""
    if of.tls is None:
        yield Section("C", "Security Details", "None: TLS is not configured.")
        return
    profile = of.tls.profile
    rows = [
        ("profile", profile.title),
        ("earliest version of TLS", _VERSIONS.get(profile.minimum, profile.minimum.name)),
        ("latest version of TLS", _VERSIONS.get(profile.maximum, profile.maximum.name)),
        ("cipher suites up to TLS 1.2, where OpenSSL has them", "<br>".join(profile.suites)),
        ("further cipher suites", "<br>".join(of.tls.suites) or "none"),
        ("cipher suites of TLS 1.3", "those of OpenSSL" if _has_13(of.tls) else "none"),
        ("security level of OpenSSL", profile.security_level),
    ]
    yield Section("C", "Security Details", table(("", ""), rows))


def _has_13(tls: TLS) -> bool:
    return tls.profile.maximum in (TLSVersion.MAXIMUM_SUPPORTED, TLSVersion.TLSv1_3)
