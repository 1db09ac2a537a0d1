"""What a certificate says of its owner."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiodicom.certificate import PeerCertificate, canonical_subject

DESCRIBED: dict[str, Any] = {
    "subject": (
        (("countryName", "DE"),),
        (("organizationName", "Clinic, North"),),
        (("userId", "7"), ("commonName", "ct1")),
    ),
    "subjectAltName": (("DNS", "CT1.clinic"), ("URI", "urn:ct:1"), ("email", "a@b"), ("DNS", "x")),
}


def test_subject_and_names() -> None:
    certificate = PeerCertificate.of(DESCRIBED)
    assert certificate == PeerCertificate(
        r"CN=ct1+UID=7,O=Clinic\, North,C=DE", ("ct1",), ("CT1.clinic", "x"), ("urn:ct:1",)
    )
    assert certificate.is_called("ct1.CLINIC")
    assert not certificate.is_called("a@b")


@pytest.mark.parametrize("described", [None, {}])
def test_a_certificate_that_nobody_has_verified_is_none(described: dict[str, Any] | None) -> None:
    assert PeerCertificate.of(described) is None


@pytest.mark.parametrize(("text", "subject"), [
    ("CN=ct1", "CN=ct1"),
    (" cn = ct 1 , o=X ", "CN=ct 1,O=X"),
    ("2.5.4.3=a,commonName=b", "CN=a,CN=b"),
    ("UID=7+CN=ct1", "CN=ct1+UID=7"),
    ("emailAddress=a@b", "EMAILADDRESS=a@b"),
    (r"O=a\,b\2C\+\\,CN=\ x\ ", r"O=a\,b\,\+\\,CN=\ x\ "),
    (r"CN=Lu\C4\8Di\C4\87", "CN=Lučić"),
    ("CN=a=b", "CN=a=b"),
    ("CN=", "CN="),
    (r"CN=\#a", r"CN=\#a"),
])  # fmt: skip
def test_a_subject_that_somebody_wrote_down(text: str, subject: str) -> None:
    assert canonical_subject(text) == subject


@pytest.mark.parametrize(
    "text", ["", "ct1", "CN", "CN=a,", "CN=a;O=b", 'CN="a"', "CN=#0401", "=a", "CN=a\\", ",CN=a"]
)
def test_what_is_no_subject(text: str) -> None:
    with pytest.raises(ValueError, match="RFC 4514"):
        canonical_subject(text)


@given(st.lists(st.text(min_size=1).filter(lambda text: max(text) < "\ud800"), min_size=1))
def test_every_subject_is_the_same_when_it_is_read_again(values: list[str]) -> None:
    described = {"subject": tuple((("commonName", value),) for value in values)}
    certificate = PeerCertificate.of(described)
    assert certificate is not None
    assert canonical_subject(certificate.subject) == certificate.subject


@given(st.lists(st.text('ab ,+\\#"<>;=é\0', min_size=1, max_size=8), min_size=1, max_size=3))
def test_different_subjects_are_not_the_same(values: list[str]) -> None:
    def subject(texts: list[str]) -> str:
        certificate = PeerCertificate.of({"subject": tuple((("commonName", t),) for t in texts)})
        assert certificate is not None
        return certificate.subject

    joined = [",".join(values)]
    assert (subject(joined) == subject(values)) is (len(values) == 1)
    assert subject([*values, "a"]) != subject(values)
