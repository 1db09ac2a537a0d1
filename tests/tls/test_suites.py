"""Cipher suites, versions, and the profiles that choose them."""

from __future__ import annotations

import re
import ssl
import subprocess
import warnings
from dataclasses import replace
from pathlib import Path

import pytest

from aiodicom.tls import (
    PROFILES,
    TLS,
    Profile,
    Verify,
    acceptor_context,
    cipher_suites,
    requestor_context,
)
from tests.certificates import complaint, handshake, talk

TLS12 = Profile(
    "TLS 1.2", ("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",), maximum=ssl.TLSVersion.TLSv1_2
)


def test_the_names_of_the_rfcs() -> None:
    """As OpenSSL itself knows them."""
    done = subprocess.run(
        ["openssl", "ciphers", "-stdname", "ALL:COMPLEMENTOFALL:!aNULL:!PSK:!SRP:@SECLEVEL=0"],
        capture_output=True, text=True, check=True, timeout=20,
    )  # fmt: skip
    expected = dict(re.findall(r"^(\S+) +- (\S+)", done.stdout, re.MULTILINE))
    del expected["TLS_RSA_WITH_NULL_MD5"]
    assert dict(cipher_suites()) == expected


@pytest.mark.parametrize(
    "suite",
    [
        "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA384",
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
        "TLS_DHE_RSA_WITH_AES_256_GCM_SHA384",
        "TLS_RSA_WITH_AES_128_CBC_SHA",
        "TLS_RSA_WITH_CAMELLIA_256_CBC_SHA",
    ],
)
def test_a_suite_that_is_added_is_used_where_the_peer_has_no_other(rsa: TLS, suite: str) -> None:
    only = replace(TLS12, suites=(suite,))
    for requestor, acceptor in [
        (replace(rsa, profile=only), replace(rsa, suites=(suite,))),
        (replace(rsa, suites=(suite,)), replace(rsa, profile=only)),
    ]:
        asking, _ = talk(requestor, acceptor)
        cipher = asking.cipher()
        assert cipher is not None
        assert cipher[0] == cipher_suites()[suite]
        with pytest.raises(ssl.SSLError):
            talk(replace(requestor, suites=()), replace(acceptor, suites=()))


def test_an_acceptor_has_its_own_preference(rsa: TLS) -> None:
    suites = ("TLS_RSA_WITH_AES_128_GCM_SHA256", "TLS_RSA_WITH_AES_256_GCM_SHA384")
    asking, _ = talk(
        replace(rsa, profile=replace(TLS12, suites=suites[::-1])),
        replace(rsa, profile=replace(TLS12, suites=suites)),
    )
    cipher = asking.cipher()
    assert cipher is not None
    assert cipher[0] == "AES128-GCM-SHA256"


def test_a_suite_of_tls_1_3_is_there_anyway(both: TLS) -> None:
    asking, _ = talk(replace(both, suites=("TLS_AES_128_GCM_SHA256",)), both)
    assert asking.version() == "TLSv1.3"


def test_an_unknown_suite(both: TLS) -> None:
    text = complaint(replace(both, suites=("TLS_WITH_NOTHING",)))
    assert text.startswith("no cipher suite 'TLS_WITH_NOTHING' here; there are TLS_")
    assert "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256" in text


def test_a_suite_that_encrypts_nothing_is_for_one_profile_only(both: TLS) -> None:
    suites = ("TLS_RSA_WITH_NULL_SHA256",)
    assert "encrypts nothing" in complaint(replace(both, suites=suites))
    acceptor_context(replace(both, suites=suites, profile=PROFILES["null"]))


@pytest.mark.parametrize("name", ["8996-mod", "bcp195-ex"])
def test_a_profile_that_allows_no_further_suites(both: TLS, name: str) -> None:
    suites = ("TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA384",)
    text = complaint(replace(both, suites=suites, profile=PROFILES[name]))
    assert "allows no further cipher suites" in text


def test_a_suite_of_a_version_that_the_profile_lacks(both: TLS) -> None:
    tls = replace(both, suites=("TLS_AES_128_GCM_SHA256",), profile=PROFILES["aes"])
    assert "is for TLS 1.3" in complaint(tls)


# Profiles ----------------------------------------------------------------------------------------

ECDHE = {"ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES256-GCM-SHA384"}
DHE = {"DHE-RSA-AES128-GCM-SHA256", "DHE-RSA-AES256-GCM-SHA384"}
ECDSA = {"ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384"}
MODIFIED = {
    "ECDHE-RSA-CHACHA20-POLY1305", "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-ECDSA-AES128-CCM", "ECDHE-ECDSA-AES256-CCM",
    "ECDHE-ECDSA-AES128-CCM8", "ECDHE-ECDSA-AES256-CCM8",
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "suites"),
    [
        ("8996", ECDHE | ECDSA),
        ("8996-mod", ECDHE | ECDSA | MODIFIED),
        ("bcp195-nd", ECDHE | DHE),
        ("bcp195", ECDHE | DHE | {"AES128-SHA"}),
        ("bcp195-ex", ECDHE | DHE | ECDSA),
        ("aes", {"AES128-SHA"}),
        ("null", {"NULL-SHA"}),
    ],
)
def test_the_suites_of_a_profile(both: TLS, name: str, suites: set[str]) -> None:
    context = acceptor_context(replace(both, profile=PROFILES[name]))
    names = {cipher["name"] for cipher in context.get_ciphers()}
    assert {name for name in names if not name.startswith("TLS_")} == suites


def test_a_profile_without_any_suite_here(
    both: TLS, rsa: TLS, monkeypatch: pytest.MonkeyPatch
) -> None:
    without = {name: o for name, o in cipher_suites().items() if "3DES" not in name}
    monkeypatch.setattr("aiodicom.tls.contexts.cipher_suites", lambda: without)
    text = complaint(replace(both, profile=PROFILES["basic"]))
    assert "this OpenSSL lacks TLS_RSA_WITH_3DES_EDE_CBC_SHA; use another profile" in text


def test_a_profile_of_ones_own_may_leave_the_choice_to_openssl(both: TLS) -> None:
    own = Profile("TLS 1.3", (), minimum=ssl.TLSVersion.TLSv1_3)
    asking, _ = talk(replace(both, profile=own), both)
    assert asking.version() == "TLSv1.3"


def old(version: ssl.TLSVersion) -> ssl.SSLContext:
    """A requestor of long ago."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers("ALL:COMPLEMENTOFALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.maximum_version = version
    return context


@pytest.mark.parametrize("name", ["bcp195", "aes", "null"])
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_old_versions_in_the_profiles_that_have_them(
    rsa: TLS, name: str, version: ssl.TLSVersion
) -> None:
    acceptor = replace(rsa, profile=PROFILES[name], verify=Verify.IGNORED)
    asking, _ = handshake(old(version), acceptor_context(acceptor))
    assert asking.version() == {"TLSv1": "TLSv1", "TLSv1_1": "TLSv1.1"}[version.name]


@pytest.mark.parametrize("name", ["8996", "8996-mod", "bcp195-nd", "bcp195-ex"])
def test_old_versions_elsewhere(rsa: TLS, name: str) -> None:
    acceptor = replace(rsa, profile=PROFILES[name], verify=Verify.IGNORED)
    with pytest.raises(ssl.SSLError, match="UNSUPPORTED_PROTOCOL"):
        handshake(old(ssl.TLSVersion.TLSv1_1), acceptor_context(acceptor))


@pytest.mark.parametrize("name", ["bcp195-ex", "aes", "null"])
def test_profiles_that_end_before_tls_1_3(rsa: TLS, name: str) -> None:
    tls = replace(rsa, profile=PROFILES[name])
    asking, _ = talk(tls, tls)
    assert asking.version() == "TLSv1.2"


def test_parameters_for_diffie_hellman(rsa: TLS, tmp_path: Path) -> None:
    """Their size shows in the acceptor's key exchange, which is the longest thing it says."""
    path = tmp_path / "dh.pem"
    subprocess.run(
        ["openssl", "genpkey", "-genparam", "-algorithm", "DH", "-pkeyopt", "group:ffdhe3072",
         "-out", path],
        capture_output=True, check=True, timeout=20,
    )  # fmt: skip
    der = tmp_path / "dh.der"
    der.write_bytes(ssl.PEM_cert_to_DER_cert(
        path.read_text().replace("DH PARAMETERS", "CERTIFICATE")
    ))  # fmt: skip
    only = replace(TLS12, suites=("TLS_DHE_RSA_WITH_AES_128_GCM_SHA256",))
    lengths = [
        said(replace(rsa, profile=only, dh_parameters=parameters))
        for parameters in (None, path, der)
    ]
    assert lengths[1] == lengths[2] == lengths[0] + 2 * (3072 - 2048) // 8


def said(tls: TLS) -> int:
    """How much an acceptor says in the first part of a handshake, in bytes."""
    to_requestor, to_acceptor = ssl.MemoryBIO(), ssl.MemoryBIO()
    asking = requestor_context(tls).wrap_bio(to_requestor, to_acceptor)
    answering = acceptor_context(tls).wrap_bio(to_acceptor, to_requestor, server_side=True)
    for end in (asking, answering):
        with pytest.raises(ssl.SSLWantReadError):
            end.do_handshake()
    return to_requestor.pending
