"""Who may associate, as the senders of DCMTK and pynetdicom see it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pynetdicom
import pytest
from pynetdicom.pdu_primitives import UserIdentityNegotiation

from tests.access.test_passwords import hash_of
from tests.certificates import Authority
from tests.interop.asking import ask
from tests.interop.samples import named
from tests.processes import Receiver, receiving, run, visible

VERIFICATION = "1.2.840.10008.1.1"

POLICY = """
called_ae_titles = ["INGEST"]
calling_ae_titles = ["CT1"]
identity.users = "users.txt"
[[rule]]
calling_ae_title = "MR1"
networks = ["10.20.1.17"]
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("receiver")


@pytest.fixture(scope="module")
def receiver(folder: Path) -> Iterator[Receiver]:
    (folder / "users.txt").write_text(f"ann:{hash_of(b'secret')}\n")
    (folder / "access.toml").write_text(POLICY)
    options = ("--access-file", "access.toml", "-od", "received")
    with receiving("storescp", *options, folder=folder) as running:
        yield running


TITLES = ("-aec", "INGEST", "-aet", "CT1")
USER = ("-usr", "ann", "-pwd", "secret")


@pytest.mark.dcmtk
@pytest.mark.parametrize(("words", "reason"), [
    (("-aec", "INGEST2", "-aet", "CT1", *USER), "Called AE Title Not Recognized"),
    (("-aec", "INGEST", "-aet", "CT2", *USER), "Calling AE Title Not Recognized"),
    (("-aec", "INGEST", "-aet", "MR1", *USER), "Calling AE Title Not Recognized"),
    (TITLES, "No Reason"),
    ((*TITLES, "-usr", "ann"), "No Reason"),
    ((*TITLES, "-usr", "ann", "-epw"), "No Reason"),
    ((*TITLES, "-usr", "bob", "-pwd", "secret"), "No Reason"),
])  # fmt: skip
def test_their_storescu_is_told_why(
    receiver: Receiver, words: tuple[str, ...], reason: str
) -> None:
    one = named("CT_small.dcm").path
    done = run(["storescu", *words, "127.0.0.1", str(receiver.port), str(one)])
    assert done.returncode == 1
    assert "Result: Rejected Permanent" in done.stderr
    assert f"Reason: {reason}" in done.stderr


@pytest.mark.dcmtk
@pytest.mark.parametrize("more", [(), ("-rsp",)])
def test_their_storescu_with_a_password(
    receiver: Receiver, folder: Path, more: tuple[str, ...]
) -> None:
    one = named("CT_small.dcm")
    words = (*TITLES, *USER, *more, "127.0.0.1", str(receiver.port), str(one.path))
    done = run(["storescu", *words])
    assert done.returncode == 0, done.stderr
    assert visible(folder / "received") == [one.stored_as]


@pytest.mark.dcmtk
def test_their_echoscu_from_an_address_that_is_denied(tmp_path: Path) -> None:
    with receiving("echoscp", "--deny", "127.0.0.0/8", folder=tmp_path) as receiver:
        done = run(["echoscu", "127.0.0.1", str(receiver.port)])
        assert done.returncode == 1
        receiver.wait_for_line("W: A connection from 127.0.0.1 is closed")


@pytest.mark.dcmtk
def test_their_echoscu_with_the_certificate_of_a_title_and_with_another_one(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    own, ct1, mr1 = (authority.issue(name) for name in ("archive", "ct1.clinic", "mr1.clinic"))
    (folder := tmp_path / "folder").mkdir()
    rule = '[[rule]]\ncalling_ae_title = "CT1"\ncertificate_names = ["ct1.clinic"]'
    (folder / "access.toml").write_text(rule)
    trust = ("+cf", str(authority.certificate))
    options = ("+tls", str(own.key), str(own.certificate), *trust, "--access-file", "access.toml")
    with receiving("echoscp", *options, folder=folder) as receiver:
        to = ("-aet", "CT1", "127.0.0.1", str(receiver.port))
        for theirs, code in ((ct1, 0), (mr1, 1)):
            words = ("+tls", str(theirs.key), str(theirs.certificate), *trust, *to)
            done = run(["echoscu", *words])
            assert done.returncode == code, done.stderr
        assert "Reason: Calling AE Title Not Recognized" in done.stderr
        receiver.wait_for_line("W: Association Rejected: the calling AE title: not with the cert")


def associated(receiver: Receiver, name: str, passcode: bytes, kind: int = 2) -> bytes | None:
    """Ask as pynetdicom does; return the server response, or None where that is rejected."""
    item = UserIdentityNegotiation()
    item.user_identity_type = kind
    item.positive_response_requested = True
    item.primary_field = name.encode()
    item.secondary_field = passcode if kind == 2 else b""
    entity = pynetdicom.AE("CT1")
    entity.add_requested_context(VERIFICATION)
    made, rejection = ask(entity, receiver.port, ae_title="INGEST", ext_neg=[item])
    if rejection is not None:
        return None
    assert made.send_c_echo().Status == 0
    confirmed = [
        i.server_response
        for i in made.acceptor.user_information
        if isinstance(i, UserIdentityNegotiation)
    ]
    made.release()
    (response,) = confirmed
    assert response is not None
    return bytes(response)


def test_an_identity_of_pynetdicom_s_is_confirmed(receiver: Receiver) -> None:
    assert associated(receiver, "ann", b"secret") == b""


@pytest.mark.parametrize(("name", "passcode", "kind"), [
    ("ann", b"wrong", 2), ("bob", b"secret", 2), ("ann", b"", 1), ("ticket", b"", 3),
    ("<assertion/>", b"", 4), ("e30.e30.", b"", 5),
])  # fmt: skip
def test_another_identity_of_pynetdicom_s_is_not(
    receiver: Receiver, name: str, passcode: bytes, kind: int
) -> None:
    assert associated(receiver, name, passcode, kind) is None
