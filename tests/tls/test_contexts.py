"""Contexts talk to each other, or do not."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import Encoding

from aiodicom.tls import TLS, Revocation, TLSError, Verify, acceptor_context, requestor_context
from tests.certificates import ANONYMOUS, Authority, complaint, handshake, talk


def test_both_sides_know_each_other(both: TLS) -> None:
    asking, answering = talk(both, both)
    assert asking.version() == answering.version() == "TLSv1.3"
    assert asking.getpeercert()
    assert answering.getpeercert()
    assert answering.selected_alpn_protocol() == "dicom"  # RFC 7301


def test_the_host_name_does_not_matter(both: TLS) -> None:
    talk(both, both, "elsewhere.example")


def test_the_host_name_matters_where_asked_for(both: TLS) -> None:
    strict = replace(both, check_host_name=True)
    talk(strict, both, "localhost")
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        talk(strict, both, "elsewhere.example")


def test_a_host_name_in_no_certificate_cannot_be_checked() -> None:
    with pytest.raises(TLSError, match="must not be ignored"):
        requestor_context(replace(ANONYMOUS, check_host_name=True))


def test_an_acceptor_from_elsewhere(both: TLS, stranger: TLS) -> None:
    with pytest.raises(ssl.SSLCertVerificationError, match="certificate verify failed"):
        talk(both, replace(stranger, verify=Verify.IGNORED))


@pytest.mark.parametrize("verify", [Verify.REQUIRED, Verify.IF_PRESENT])
def test_a_requestor_from_elsewhere(both: TLS, stranger: TLS, verify: Verify) -> None:
    with pytest.raises(ssl.SSLCertVerificationError, match="certificate verify failed"):
        talk(replace(stranger, verify=Verify.IGNORED), replace(both, verify=verify))


def test_a_requestor_without_a_certificate_where_one_is_required(both: TLS) -> None:
    with pytest.raises(ssl.SSLError, match="PEER_DID_NOT_RETURN_A_CERTIFICATE"):
        talk(ANONYMOUS, both)


def test_a_requestor_without_a_certificate_where_it_may_be_absent(both: TLS) -> None:
    _, answering = talk(
        TLS(authorities=both.authorities), replace(both, verify=Verify.IF_PRESENT, authorities=())
    )
    assert answering.getpeercert() is None


def test_who_ignores_certificates_talks_to_anybody(both: TLS, stranger: TLS) -> None:
    talk(replace(stranger, verify=Verify.IGNORED), replace(both, verify=Verify.IGNORED))


def test_a_certificate_of_an_authority_in_between(both: TLS, tmp_path: Path) -> None:
    root = trustme.CA(key_type=trustme.KeyType.ECDSA)
    between = root.create_child_ca(key_type=trustme.KeyType.ECDSA)
    issued = between.issue_cert("localhost", key_type=trustme.KeyType.ECDSA)
    one_file = tmp_path / "all.pem"
    issued.private_key_and_cert_chain_pem.write_to_path(one_file)
    root.cert_pem.write_to_path(tmp_path / "root.pem")
    talk(
        replace(both, authorities=(tmp_path / "root.pem",)),
        replace(both, key=None, certificate=one_file),
    )


def test_an_acceptor_gives_no_tickets_and_does_not_start_anew(both: TLS) -> None:
    context = acceptor_context(both)
    assert context.num_tickets == 0
    assert context.options & ssl.OP_NO_RENEGOTIATION


# Server names ------------------------------------------------------------------------------------


@pytest.mark.parametrize("asked", ["", "archive.example", "Archive.Example"])
def test_the_server_name_that_is_expected_or_none(both: TLS, asked: str) -> None:
    talk(both, replace(both, server_name="archive.example"), asked)


def test_another_server_name(both: TLS) -> None:
    acceptor = acceptor_context(replace(both, server_name="archive.example"))
    with pytest.raises(ssl.SSLError, match="CALLBACK_FAILED"):
        handshake(requestor_context(both), acceptor, "other.example")


# Revocation --------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", [Encoding.PEM, Encoding.DER])
def test_a_certificate_that_was_revoked(
    both: TLS, authority: Authority, encoding: Encoding
) -> None:
    revoked = authority.issue()
    strict = replace(
        both,
        revocation_lists=(authority.revocation_list(revoked.certificate, encoding=encoding),),
        revocation=Revocation.PEERS,
    )
    talk(both, strict)
    with pytest.raises(ssl.SSLCertVerificationError, match="revoked"):
        talk(replace(both, key=revoked.key, certificate=revoked.certificate), strict)


def test_peers_and_the_whole_chain(both: TLS, tmp_path: Path) -> None:
    """The root's list is only missed where the authority in between is looked up as well."""
    root = Authority(tmp_path)
    between = root.between()
    requestor = replace(between.tls(), authorities=both.authorities)
    lists = (between.revocation_list(),)
    acceptor = replace(both, authorities=(root.certificate,), revocation_lists=lists)
    talk(requestor, replace(acceptor, revocation=Revocation.PEERS))
    chain = replace(acceptor, revocation=Revocation.WHOLE_CHAIN)
    with pytest.raises(ssl.SSLCertVerificationError, match="unable to get certificate CRL"):
        talk(requestor, chain)
    talk(requestor, replace(chain, revocation_lists=(*lists, root.revocation_list())))


def test_lists_in_a_folder_under_hashed_names(
    both: TLS, authority: Authority, tmp_path: Path
) -> None:
    revoked = authority.issue()
    shutil.copy(authority.certificate, tmp_path / "authority.pem")
    shutil.copy(authority.revocation_list(revoked.certificate), tmp_path / "list.pem")
    subprocess.run(["openssl", "rehash", tmp_path], check=True, timeout=20)
    strict = replace(
        both, authorities=(), authority_folders=(tmp_path,), revocation=Revocation.PEERS
    )
    talk(both, strict)
    with pytest.raises(ssl.SSLCertVerificationError, match="revoked"):
        talk(replace(both, key=revoked.key, certificate=revoked.certificate), strict)


def test_there_is_nothing_to_look_up(both: TLS) -> None:
    assert "--add-crl-file" in complaint(replace(both, revocation=Revocation.PEERS))
