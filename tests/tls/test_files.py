"""Keys and certificates of every form, and files that are none of them."""

from __future__ import annotations

import os
import shutil
import ssl
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PrivateFormat

from aiodicom.errors import DicomError
from aiodicom.tls import PROFILES, TLS, TLSError, Verify, acceptor_context, requestor_context
from tests.certificates import Authority, complaint, handshake, identity, talk


@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
@pytest.mark.parametrize("is_der", [False, True])
@pytest.mark.parametrize("kind", ["ec", "rsa"])
def test_keys_of_every_form(
    both: TLS, rsa: TLS, form: PrivateFormat, is_der: bool, kind: str
) -> None:
    tls = both if kind == "ec" else rsa
    own = identity(tls)
    key = own.key_as(Encoding.DER if is_der else Encoding.PEM, form)
    certificate = own.der().certificate if is_der else own.certificate
    talk(tls, replace(tls, key=key, certificate=certificate, is_der=is_der))


@pytest.mark.parametrize(
    ("encoding", "form"),
    [
        (Encoding.PEM, PrivateFormat.PKCS8),
        (Encoding.PEM, PrivateFormat.TraditionalOpenSSL),
        (Encoding.DER, PrivateFormat.PKCS8),
    ],
)
def test_encrypted_keys(both: TLS, encoding: Encoding, form: PrivateFormat) -> None:
    own = identity(both)
    is_der = encoding is Encoding.DER
    encrypted = replace(
        both,
        key=own.key_as(encoding, form, "secret"),
        certificate=own.der().certificate if is_der else own.certificate,
        is_der=is_der,
    )
    talk(both, replace(encrypted, password="secret"))
    talk(both, replace(encrypted, password=lambda: "secret"))
    assert "wrong password" in complaint(replace(encrypted, password="other"))
    assert "wrong password" in complaint(replace(encrypted, password=""))
    assert "cannot be longer" in complaint(replace(encrypted, password="x" * 2000))
    assert complaint(encrypted) == (
        f"private key {encrypted.key}: it is encrypted, and needs its password (--use-passwd)"
    )


def test_nobody_is_asked_for_the_password_of_a_key_that_has_none(both: TLS) -> None:
    def ask() -> str:
        raise AssertionError

    acceptor_context(replace(both, password=ask))


def test_the_password_is_not_shown() -> None:
    assert "secret" not in repr(TLS(password="secret"))


def test_authorities_as_pem_and_der(both: TLS, authority: Authority) -> None:
    talk(replace(both, authorities=(authority.certificate_der(),)), both)


def test_several_authorities_in_one_file_and_in_several(
    both: TLS, stranger: TLS, tmp_path: Path
) -> None:
    files = [Path(path) for path in (*stranger.authorities, *both.authorities)]
    bundle = tmp_path / "bundle.pem"
    first, second = (path.read_bytes() for path in files)
    second = second.replace(b"BEGIN CERT", b"BEGIN X509 CERT").replace(
        b"END CERT", b"END X509 CERT"
    )
    bundle.write_bytes("Für beide:\n".encode() + first + second)
    for authorities in [(bundle,), tuple(files)]:
        acceptor = acceptor_context(replace(both, authorities=authorities))
        handshake(requestor_context(both), acceptor)
        handshake(requestor_context(replace(stranger, verify=Verify.IGNORED)), acceptor)


def test_a_folder_of_authorities_that_holds_other_things_too(
    both: TLS, stranger: TLS, authority: Authority, tmp_path: Path
) -> None:
    shutil.copy(authority.certificate_der(), tmp_path / "a.crt")
    shutil.copy(stranger.authorities[0], tmp_path / "b.pem")
    shutil.copy(identity(both).key, tmp_path / "key.pem")
    shutil.copy(identity(both).key_as(Encoding.DER), tmp_path / "key.der")
    (tmp_path / "README").write_text("no certificate")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("nowhere")
    (tmp_path / "unreadable").symlink_to("/proc/self/mem")
    os.mkfifo(tmp_path / "pipe")
    acceptor = acceptor_context(replace(both, authorities=(), authority_folders=(tmp_path,)))
    handshake(requestor_context(both), acceptor)
    handshake(requestor_context(replace(stranger, verify=Verify.IGNORED)), acceptor)


def test_a_folder_is_looked_into_later_under_hashed_names(
    both: TLS, stranger: TLS, tmp_path: Path
) -> None:
    shutil.copy(both.authorities[0], tmp_path / "first.pem")
    acceptor = acceptor_context(replace(both, authorities=(), authority_folders=(tmp_path,)))
    later = requestor_context(replace(stranger, verify=Verify.IGNORED))
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(later, acceptor)
    shutil.copy(stranger.authorities[0], tmp_path / "second.pem")
    subprocess.run(["openssl", "rehash", tmp_path], check=True, timeout=20)
    handshake(later, acceptor)


def test_nothing_is_left_behind(both: TLS, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys on their way to OpenSSL least of all, on systems without memfd_create neither."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    before = os.listdir("/proc/self/fd")
    acceptor_context(both)
    monkeypatch.delattr("os.memfd_create")
    acceptor_context(both)
    assert len(os.listdir("/proc/self/fd")) == len(before)
    assert list(tmp_path.iterdir()) == []


# What is wrong -----------------------------------------------------------------------------------


def test_what_is_wrong_is_a_dicom_error_and_a_value_error() -> None:
    assert issubclass(TLSError, DicomError)
    assert issubclass(TLSError, ValueError)


def test_an_acceptor_without_a_certificate(both: TLS) -> None:
    assert "--enable-tls" in complaint(replace(both, key=None, certificate=None))


def test_a_key_without_a_certificate(both: TLS) -> None:
    with pytest.raises(TLSError, match="its certificate is missing"):
        requestor_context(replace(both, certificate=None))


def test_a_key_of_another_certificate(both: TLS, rsa: TLS, stranger: TLS) -> None:
    for other in (rsa, stranger):
        text = complaint(replace(both, key=other.key))
        assert (
            text == f"private key {other.key}: it does not belong to certificate {both.certificate}"
        )


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("key", "private key"),
        ("certificate", "certificate"),
        ("dh_parameters", "Diffie-Hellman parameters"),
        ("authorities", "authority"),
        ("authority_folders", "authorities"),
        ("revocation_lists", "revocation list"),
    ],
)
def test_a_file_that_is_missing(both: TLS, tmp_path: Path, name: str, what: str) -> None:
    missing = tmp_path / "missing"
    several = isinstance(getattr(both, name), tuple)
    values: dict[str, Any] = {name: (missing,) if several else missing}
    assert complaint(replace(both, **values)) == f"{what} {missing}: No such file or directory"


@pytest.mark.parametrize("name", ["key", "certificate", "dh_parameters", "authorities",
                                  "revocation_lists"])  # fmt: skip
@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"nonsense",
        b"0nonsense",
        b"0\x82",
        b"-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n",
        b"-----BEGIN CERTIFICATE-----\nA\n-----END CERTIFICATE-----\n",
        b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        b"-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n",
    ],
)
@pytest.mark.parametrize("is_der", [False, True])
def test_a_file_of_nonsense(
    both: TLS, tmp_path: Path, name: str, data: bytes, is_der: bool
) -> None:
    path = tmp_path / "nonsense"
    path.write_bytes(data)
    if is_der:
        own = identity(both).der()
        both = replace(both, key=own.key, certificate=own.certificate, is_der=True)
    several = isinstance(getattr(both, name), tuple)
    values: dict[str, Any] = {name: (path,) if several else path}
    assert f" {path}: " in complaint(replace(both, **values))


def test_a_folder_without_a_certificate(both: TLS, tmp_path: Path) -> None:
    text = complaint(replace(both, authorities=(), authority_folders=(tmp_path,)))
    assert text == f"authorities {tmp_path}: no certificate in there"


def test_a_folder_with_a_damaged_certificate(both: TLS, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.pem"
    damaged.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    text = complaint(replace(both, authority_folders=(tmp_path,)))
    assert text.startswith(f"authority {damaged}: ")


def test_der_where_pem_was_expected_and_the_other_way_round(both: TLS) -> None:
    own, der = identity(both), identity(both).der()
    for name, what in [("key", "private key"), ("certificate", "certificate")]:
        path = getattr(der, name)
        text = complaint(replace(both, **{name: path}))
        assert text == f"{what} {path}: it is DER, not PEM (--der-keys)"
        tls = replace(both, key=der.key, certificate=der.certificate, is_der=True)
        path = getattr(own, name)
        text = complaint(replace(tls, **{name: path}))
        assert text == f"{what} {path}: it is PEM, not DER (--pem-keys)"


def test_nobody_to_trust(both: TLS) -> None:
    assert "--add-cert-file" in complaint(replace(both, authorities=()))


def test_a_key_that_is_too_small_for_the_profile(both: TLS, tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:1024", "-nodes", "-subj", "/CN=small",
         "-keyout", key, "-out", certificate],
        capture_output=True, check=True, timeout=20,
    )  # fmt: skip
    small = replace(both, key=key, certificate=certificate)
    assert complaint(small) == f"certificate {certificate}: ee key too small"
    acceptor_context(replace(small, profile=PROFILES["aes"]))


def test_parameters_that_are_too_small(both: TLS, tmp_path: Path) -> None:
    path = tmp_path / "dh.pem"
    path.write_text(
        "-----BEGIN DH PARAMETERS-----\n"
        "MEYCQQDaXfVwO0hRnZvIp+oyNRNaETZKuJ0bHUU5ZcyNcGrhRkfkMmNVuIxWGt4A\n"
        "-----END DH PARAMETERS-----\n"
    )
    assert complaint(replace(both, dh_parameters=path)).startswith(
        f"Diffie-Hellman parameters {path}: "
    )
