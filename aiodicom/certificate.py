"""Who a peer's certificate says that it is: subject and alternative names, compared exactly."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["PeerCertificate", "canonical_subject"]

_ATTRIBUTES = {
    "commonName": ("CN", "2.5.4.3"),
    "serialNumber": ("SERIALNUMBER", "2.5.4.5"),
    "countryName": ("C", "2.5.4.6"),
    "localityName": ("L", "2.5.4.7"),
    "stateOrProvinceName": ("ST", "2.5.4.8"),
    "streetAddress": ("STREET", "2.5.4.9"),
    "organizationName": ("O", "2.5.4.10"),
    "organizationalUnitName": ("OU", "2.5.4.11"),
    "userId": ("UID", "0.9.2342.19200300.100.1.1"),
    "domainComponent": ("DC", "0.9.2342.19200300.100.1.25"),
    "emailAddress": ("EMAILADDRESS", "1.2.840.113549.1.9.1"),
}  # fmt: skip
"""OpenSSL's name of an attribute type, with its short name (RFC 4514 section 3) and its OID."""

_KEYS = {
    name.upper(): short for long, (short, oid) in _ATTRIBUTES.items() for name in (long, short, oid)
}

_ATTRIBUTE = re.compile(
    r" *(?P<key>[A-Za-z][A-Za-z0-9-]*|\d+(?:\.\d+)+) *= *"
    r'(?P<value>(?!#)(?:\\[0-9A-Fa-f]{2}|\\[ "#+,;<=>\\]|[^\\"+,;<>\0])*)(?P<end>[,+]|\Z)'
)
_CHARACTER = re.compile(r"\\[0-9A-Fa-f]{2}|\\.|.", re.DOTALL)

_Attributes = Sequence[tuple[str, str]]
"""A relative distinguished name: the names of its attributes, and their values."""


@dataclass(frozen=True, slots=True)
class PeerCertificate:
    """What a certificate, which was verified, says of its owner.

    Attributes
    ----------
    subject : str
        Its subject as RFC 4514 writes it, the most specific attribute first: ``CN=ct1,O=Clinic``.
    common_names : tuple of str
        The common names in its subject.
    dns_names : tuple of str
        Its subject alternative names that are names of hosts (RFC 5280 4.2.1.6).
    uris : tuple of str
        Those that are URIs.
    """

    subject: str
    common_names: tuple[str, ...] = ()
    dns_names: tuple[str, ...] = ()
    uris: tuple[str, ...] = ()

    @classmethod
    def of(cls, described: Mapping[str, Any] | None) -> PeerCertificate | None:
        """Return what `ssl.SSLSocket.getpeercert` describes.

        Parameters
        ----------
        described : mapping or None
            Nothing, or an empty one, where there is no certificate or nobody has verified it.
        """
        if not described:
            return None
        subject: Sequence[_Attributes] = described.get("subject", ())
        alternatives: _Attributes = described.get("subjectAltName", ())
        return cls(
            _written(reversed(subject)),
            tuple(text for rdn in subject for name, text in rdn if name == "commonName"),
            tuple(text for kind, text in alternatives if kind == "DNS"),
            tuple(text for kind, text in alternatives if kind == "URI"),
        )

    def is_called(self, name: str) -> bool:
        """Tell whether a name is one of its common names, DNS names or URIs.

        There are no patterns: ``*.clinic`` is that name. Case counts, but in DNS names.

        Parameters
        ----------
        name : str
            A name, such as one of `Binding.certificate_names`.
        """
        return (
            name in self.common_names
            or name in self.uris
            or name.lower() in (dns_name.lower() for dns_name in self.dns_names)
        )


def canonical_subject(text: str) -> str:
    r"""Return a subject that somebody wrote down as `PeerCertificate.subject` is written.

    Parameters
    ----------
    text : str
        A distinguished name (RFC 4514), such as ``CN=ct1, O=Clinic\, North``.

    Raises
    ------
    ValueError
        Where it is none.
    """
    names: list[list[tuple[str, str]]] = [[]]
    position, end = 0, ","
    while end:
        found = _ATTRIBUTE.match(text, position)
        if found is None:
            raise ValueError(
                f"{text!r} is no subject as RFC 4514 writes it, such as CN=ct1,O=Clinic: "
                f"see what stands at {text[position : position + 20]!r}"
            )
        names[-1].append((found["key"], _unescaped(found["value"])))
        position, end = found.end(), found["end"]
        if end == ",":
            names.append([])
    return _written(names)


def _unescaped(raw: str) -> str:
    characters = _CHARACTER.findall(raw)
    while characters and characters[-1] == " ":
        characters.pop()
    return b"".join(
        bytes.fromhex(c[1:]) if len(c) == 3 else c[-1:].encode() for c in characters
    ).decode(errors="replace")


def _written(names: Iterable[_Attributes]) -> str:
    return ",".join(
        "+".join(sorted(f"{_KEYS.get(key.upper(), key.upper())}={_escaped(v)}" for key, v in rdn))
        for rdn in names
    )


def _escaped(value: str) -> str:
    text = re.sub(r'[\\"+,;<>]', r"\\\g<0>", value).replace("\0", "\\00")
    if text[:1] in ("#", " "):
        text = "\\" + text
    if text.endswith(" ") and len(text) > 1 and text != "\\ ":
        text = text[:-1] + "\\ "
    return text
