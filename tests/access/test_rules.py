"""Rules about who may associate, without any association."""

from __future__ import annotations

from typing import Any

import pytest

from aiodicom import Access, AssociationInfo, AssociationRejected, Binding, PeerCertificate
from tests.peer import association_request

CT1 = PeerCertificate("CN=ct1,O=Clinic", ("ct1",), ("ct1.clinic",), ("urn:ct:1",))
NOT_CALLED, NOT_KNOWN, NO_REASON = (1, 1, 7), (1, 1, 3), (1, 1, 1)


def who(
    calling: str = "CT1",
    called: str = "HERE",
    address: str = "10.0.0.1",
    certificate: PeerCertificate | None = None,
) -> AssociationInfo:
    request = association_request(calling=calling, called=called)
    return AssociationInfo(request, address, 1040, 1, certificate)


def answer(access: Access, info: AssociationInfo) -> tuple[int, int, int] | None:
    """What somebody is rejected with; None where nobody objects."""
    try:
        access.check(info)
    except AssociationRejected as rejection:
        return rejection.result, rejection.source, rejection.reason
    return None


def test_by_default_everybody_may() -> None:
    assert answer(Access(), who("", "", "no address")) is None
    assert Access().allows("no address")


# AE titles -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("called", "rejected"), [
    ("HERE", None), ("THERE", None), ("  HERE ", None),
    ("here", NOT_CALLED), ("HER", NOT_CALLED), ("", NOT_CALLED), ("ANY-SCP", NOT_CALLED),
])  # fmt: skip
def test_who_calls_somebody_else(called: str, rejected: tuple[int, int, int] | None) -> None:
    access = Access(called_ae_titles=["HERE ", "THERE"])
    assert answer(access, who(called=called)) == rejected


@pytest.mark.parametrize(("calling", "rejected"), [
    ("CT1", None), ("MR1", None), ("ct1", NOT_KNOWN), ("CT", NOT_KNOWN), ("", NOT_KNOWN),
])  # fmt: skip
def test_who_is_not_known(calling: str, rejected: tuple[int, int, int] | None) -> None:
    assert answer(Access(calling_ae_titles={"CT1", "MR1"}), who(calling)) == rejected


def test_an_empty_list_is_nobody() -> None:
    assert answer(Access(called_ae_titles=[]), who()) == NOT_CALLED
    assert answer(Access(calling_ae_titles=[]), who()) == NOT_KNOWN
    assert answer(Access(allow=[]), who()) == NO_REASON


# Addresses -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("network", "address", "allowed"), [
    ("10.0.0.0/8", "10.255.0.1", True),
    ("10.0.0.0/8", "11.0.0.1", False),
    ("10.0.0.1", "10.0.0.1", True),
    ("10.0.0.1", "10.0.0.2", False),
    ("10.0.0.0/8", "::ffff:10.1.1.1", True),
    ("::ffff:10.0.0.0/104", "10.1.1.1", True),
    ("::ffff:10.0.0.1", "::ffff:10.0.0.1", True),
    ("fd00::/8", "fd12::1", True),
    ("fd00::/8", "10.0.0.1", False),
    ("fe80::/10", "fe80::1%eth0", True),
    ("0.0.0.0/0", "::1", False),
    ("::/0", "10.0.0.1", False),
    ("0.0.0.0/0", "", False),
    ("0.0.0.0/0", "10.0.0.1.example", False),
])  # fmt: skip
def test_networks(network: str, address: str, allowed: bool) -> None:
    assert Access(allow=[network]).allows(address) is allowed
    assert (
        answer(Access(allow=["192.0.2.0/24", network]), who(address=address)) is None
    ) is allowed
    bound = Access(bindings=[Binding("CT1", networks=[network])])
    assert (answer(bound, who(address=address)) is None) is allowed


@pytest.mark.parametrize(("address", "allowed"), [
    ("10.1.1.1", True), ("10.0.0.1", False), ("::ffff:10.0.0.1", False), ("::1", True), ("?", False)
])  # fmt: skip
def test_who_is_denied(address: str, allowed: bool) -> None:
    assert Access(deny=["10.0.0.0/16"]).allows(address) is allowed


def test_to_be_denied_counts_more_than_to_be_allowed() -> None:
    access = Access(allow=["10.0.0.0/8"], deny=["10.9.0.0/16"])
    assert answer(access, who(address="10.9.0.1")) == NO_REASON
    assert answer(access, who(address="10.8.0.1")) is None


# Bindings --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("binding", "certificate", "accepted"), [
    (Binding("CT1", certificate_names=["ct1"]), CT1, True),
    (Binding("CT1", certificate_names=["ct1.CLINIC"]), CT1, True),
    (Binding("CT1", certificate_names=["urn:ct:1"]), CT1, True),
    (Binding("CT1", certificate_names=["ct2", "ct1"]), CT1, True),
    (Binding("CT1", certificate_names=["CT1"]), CT1, False),
    (Binding("CT1", certificate_names=["ct"]), CT1, False),
    (Binding("CT1", certificate_names=["*"]), CT1, False),
    (Binding("CT1", certificate_names=["CN=ct1,O=Clinic"]), CT1, False),
    (Binding("CT1", certificate_names=[]), CT1, False),
    (Binding("CT1", certificate_names=["ct1"]), None, False),
    (Binding("CT1", certificate_subjects=["cn=ct1, o=Clinic"]), CT1, True),
    (Binding("CT1", certificate_subjects=["CN=ct1"]), CT1, False),
    (Binding("CT1", certificate_subjects=["O=Clinic,CN=ct1"]), CT1, False),
    (Binding("CT1", certificate_subjects=["CN=ct1"], certificate_names=["ct1"]), CT1, True),
    (Binding("CT1", ["10.0.0.0/8"], ["ct1"]), CT1, True),
    (Binding("CT1", ["10.0.0.0/8"], ["ct2"]), CT1, False),
    (Binding("CT1", ["11.0.0.0/8"], ["ct1"]), CT1, False),
    (Binding("CT1"), None, True),
])  # fmt: skip
def test_a_title_comes_with_its_certificate(
    binding: Binding, certificate: PeerCertificate | None, accepted: bool
) -> None:
    access = Access(bindings=[binding])
    assert answer(access, who(certificate=certificate)) == (None if accepted else NOT_KNOWN)


def test_one_of_several_bindings_is_enough() -> None:
    access = Access(bindings=[Binding("CT1", ["10.0.0.2"]), Binding(" CT1", ["10.0.0.1"])])
    assert answer(access, who()) is None
    assert answer(access, who(address="10.0.0.3")) == NOT_KNOWN


def test_who_is_bound_is_known_and_others_are_free() -> None:
    bindings = [Binding("CT1", ["10.0.0.1"])]
    assert answer(Access(bindings=bindings), who("MR1")) is None
    only = Access(calling_ae_titles=["US1"], bindings=bindings)
    assert answer(only, who("CT1")) is None
    assert answer(only, who("US1")) is None
    assert answer(only, who("MR1")) == NOT_KNOWN


def test_to_be_listed_does_not_help_who_is_bound() -> None:
    access = Access(calling_ae_titles=["CT1"], bindings=[Binding("CT1", ["10.0.0.2"])])
    assert answer(access, who("CT1")) == NOT_KNOWN


# Settings --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("settings", "message"), [
    ({"called_ae_titles": ["A\\B"]}, "no AE title"),
    ({"calling_ae_titles": [""]}, "no AE title"),
    ({"calling_ae_titles": "CT1"}, "must be a list"),
    ({"allow": "10.0.0.0/8"}, "must be a list"),
    ({"allow": ["10.0.0.0/33"]}, "such as 10.1.0.0/16"),
    ({"allow": ["ct1.clinic"]}, "no network or address"),
    ({"deny": ["10.0.0.1/8"]}, "write 10.0.0.0/8"),
    ({"require_identity": True}, "needs verify"),
])  # fmt: skip
def test_what_is_no_rule(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Access(**settings)


@pytest.mark.parametrize(("settings", "message"), [
    ({"calling_ae_title": " "}, "no AE title"),
    ({"networks": ["10"]}, "no network"),
    ({"networks": "10.0.0.0/8"}, "must be a list"),
    ({"certificate_names": "ct1"}, "must be a list"),
    ({"certificate_subjects": ["ct1"]}, "CN=ct1,O=Clinic"),
])  # fmt: skip
def test_what_is_no_binding(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Binding(**{"calling_ae_title": "CT1", **settings})
