"""The TLS options: each one changes what the contexts do."""

from __future__ import annotations

import getpass
import io
import shlex
import shutil
import ssl
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import Encoding

from aiodicom.cli.options import Command, UsageError
from aiodicom.cli.tls import (
    ACCEPTOR_TLS_DEFAULTS,
    TLS_ANSWERS,
    TLS_DEFAULTS,
    acceptor_tls,
    requestor_context,
    server_name,
    tls_options,
    tls_rules,
)
from aiodicom.tls import PROFILES, TLSError, cipher_suites
from tests.certificates import Authority, Identity, handshake

COMMANDS = {
    acceptor: Command(
        "example",
        "shows options",
        {},
        tls_options(acceptor=acceptor),
        ACCEPTOR_TLS_DEFAULTS if acceptor else TLS_DEFAULTS,
        tls_rules(acceptor=acceptor),
    )
    for acceptor in (False, True)
}


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"), trustme.KeyType.RSA)


@pytest.fixture(scope="module")
def own(authority: Authority) -> Identity:
    return authority.issue()


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Identity:
    return Authority(tmp_path_factory.mktemp("stranger")).issue()


@pytest.fixture
def line(authority: Authority, own: Identity) -> str:
    """What both sides say to talk to each other."""
    return f"{enable(own)} +cf {authority.certificate}"


def enable(identity: Identity) -> str:
    return f"+tls {identity.key} {identity.certificate}"


def parse(line: str, *, acceptor: bool) -> dict[str, Any]:
    return COMMANDS[acceptor].parse(shlex.split(line))


def acceptor_of(line: str) -> ssl.SSLContext:
    tls = acceptor_tls(parse(line, acceptor=True))
    assert tls is not None
    return tls.context


def requestor_of(line: str) -> ssl.SSLContext:
    context = requestor_context(parse(line, acceptor=False))
    assert context is not None
    return context


def talk(requestor: str, acceptor: str, name: str = "") -> tuple[ssl.SSLObject, ssl.SSLObject]:
    return handshake(requestor_of(requestor), acceptor_of(acceptor), name)


# Whether there is TLS ----------------------------------------------------------------------------


@pytest.mark.parametrize("line", ["", "-tls", "+tls key certificate -tls"])
def test_without_tls(line: str) -> None:
    assert requestor_context(parse(line, acceptor=False)) is None
    assert acceptor_tls(parse(line, acceptor=True)) is None


def test_with_a_certificate_on_either_side(line: str) -> None:
    asking, answering = talk(line, line)
    assert asking.getpeercert()
    assert answering.getpeercert()


def test_without_a_certificate(line: str, authority: Authority) -> None:
    anonymous = f"+tla +cf {authority.certificate}"
    _, answering = talk(anonymous, f"{line} -vc")
    assert answering.getpeercert() is None
    with pytest.raises(ssl.SSLError, match="PEER_DID_NOT_RETURN_A_CERTIFICATE"):
        talk(anonymous, line)


# Key and certificate -----------------------------------------------------------------------------


@pytest.fixture
def locked(own: Identity, authority: Authority) -> str:
    """A command line with a key that needs a password."""
    identity = replace(own, key=own.key_as(password="secret"))
    return f"{enable(identity)} +cf {authority.certificate}"


def test_a_password(line: str, locked: str) -> None:
    talk(line, f"{locked} +pw secret")
    with pytest.raises(TLSError, match="wrong password"):
        acceptor_of(f"{locked} +pw other")


def test_an_empty_password(line: str, locked: str) -> None:
    acceptor_of(f"{line} -pw")
    with pytest.raises(TLSError, match="wrong password"):
        acceptor_of(f"{locked} +pw secret -pw")


@pytest.mark.parametrize("option", ["", "+ps", "+pw other +ps"])
def test_a_password_that_is_asked_for(
    line: str, locked: str, option: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def ask(prompt: str) -> str:
        asked.append(prompt)
        return "secret"

    monkeypatch.setattr(getpass, "getpass", ask)
    talk(line, f"{locked} {option}")
    assert len(asked) == 1
    assert shlex.split(locked)[1] in asked[0]


def without_terminal(monkeypatch: pytest.MonkeyPatch, typed: str) -> None:
    def no_terminal(*_: object) -> int:
        raise OSError

    monkeypatch.setattr("os.open", no_terminal)
    monkeypatch.setattr("sys.stdin", io.StringIO(typed))


def test_a_password_from_standard_input(
    line: str, locked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_terminal(monkeypatch, "secret\n")
    talk(line, locked)


def test_a_password_that_nobody_types(locked: str, monkeypatch: pytest.MonkeyPatch) -> None:
    without_terminal(monkeypatch, "")
    with pytest.raises(TLSError, match="nobody types its password: --use-passwd"):
        acceptor_of(locked)


def test_the_form_of_our_files(line: str, own: Identity, authority: Authority) -> None:
    der = f"{enable(own.der())} +cf {authority.certificate}"
    talk(line, f"{der} -der")
    talk(f"{der} -der", f"{line} -der -pem")
    with pytest.raises(TLSError, match="--der-keys"):
        acceptor_of(der)
    with pytest.raises(TLSError, match="--pem-keys"):
        acceptor_of(f"{line} -der")


# Authorities and revocation ----------------------------------------------------------------------


def test_several_authorities(line: str, stranger: Identity, authority: Authority) -> None:
    other = f"{enable(stranger)} -ic"
    with pytest.raises(ssl.SSLCertVerificationError):
        talk(other, line)
    both = f"{line} +cf {stranger.authority}"
    talk(other, both)
    talk(line, both)


def test_folders_of_authorities(line: str, own: Identity, stranger: Identity, authority: Authority,
                                tmp_path: Path) -> None:  # fmt: skip
    options = ""
    for name, certificate in [("one", authority.certificate), ("two", stranger.authority)]:
        folder = tmp_path / name
        folder.mkdir()
        shutil.copy(certificate, folder)
        options += f" +cd {folder}"
    talk(line, f"{enable(own)} {options}")
    talk(f"{enable(stranger)} -ic", f"{enable(own)} {options}")


def test_revocation_lists(line: str, authority: Authority) -> None:
    revoked = authority.issue()
    its = f"{enable(revoked)} +cf {authority.certificate}"
    strict = f"{line} +crl {authority.revocation_list(revoked.certificate)}"
    talk(line, strict)
    for option in ("", "+crv", "+cra"):
        with pytest.raises(ssl.SSLCertVerificationError, match="revoked"):
            talk(its, f"{strict} {option}")


def test_several_revocation_lists(line: str, stranger: Identity, authority: Authority) -> None:
    revoked = authority.issue()
    lists = [authority.revocation_list(revoked.certificate, encoding=Encoding.DER),
             Authority(stranger.key.parent).revocation_list()]  # fmt: skip
    with pytest.raises(ssl.SSLCertVerificationError, match="revoked"):
        talk(
            f"{enable(revoked)} +cf {authority.certificate}",
            line + "".join(f" +crl {path}" for path in lists),
        )


def test_the_peer_or_the_whole_chain(line: str, own: Identity, authority: Authority) -> None:
    between = authority.between()
    its = f"{enable(between.issue())} +cf {authority.certificate}"
    strict = f"{line} +crl {between.revocation_list()}"
    talk(its, strict)
    talk(its, f"{strict} +cra +crv")
    with pytest.raises(ssl.SSLCertVerificationError, match="unable to get certificate CRL"):
        talk(its, f"{strict} +cra")


@pytest.mark.parametrize("option", ["+crv", "+cra"])
def test_revocation_without_a_list(line: str, option: str) -> None:
    with pytest.raises(TLSError, match="--add-crl-file"):
        acceptor_of(f"{line} {option}")


# Peers -------------------------------------------------------------------------------------------


def test_whose_certificates_are_verified(line: str, stranger: Identity) -> None:
    other = f"{enable(stranger)} -ic"
    for option in ("", "-rc", "-vc", "-ic -rc"):
        with pytest.raises(ssl.SSLCertVerificationError):
            talk(other, f"{line} {option}")
    talk(other, f"{line} -ic")
    for option in ("", "-rc", "-ic -rc"):
        with pytest.raises(ssl.SSLCertVerificationError):
            talk(f"{line} {option}", f"{enable(stranger)} -ic")
    talk(f"{line} -ic", f"{enable(stranger)} -ic")


def test_server_names(line: str) -> None:
    talk(line, f"{line} --expect-sni archive", "archive")
    talk(line, f"{line} --expect-sni archive --no-sni", "other")
    with pytest.raises(ssl.SSLError, match="CALLBACK_FAILED"):
        talk(line, f"{line} --expect-sni archive", "other")
    for options, name in [
        ("", ""),
        ("--request-sni archive", "archive"),
        ("--request-sni archive --no-sni", ""),
    ]:
        assert server_name(parse(f"{line} {options}", acceptor=False)) == name


# Profiles and cipher suites ----------------------------------------------------------------------


def suites_of(context: ssl.SSLContext) -> set[str]:
    return {str(cipher["name"]) for cipher in context.get_ciphers()}


@pytest.mark.parametrize(
    ("option", "name"),
    [
        ("", "8996"),
        ("+pg", "8996"),
        ("+pm", "8996-mod"),
        ("+py", "bcp195-nd"),
        ("+px", "bcp195"),
        ("+pz", "bcp195-ex"),
        ("+pa", "aes"),
        ("+pn", "null"),
        ("+pn +pa", "aes"),
    ],
)
def test_profiles(line: str, option: str, name: str) -> None:
    profile = PROFILES[name]
    expected = {suite for rfc, suite in cipher_suites().items() if rfc in profile.suites}
    for context in (acceptor_of(f"{line} {option}"), requestor_of(f"{line} {option}")):
        assert {name for name in suites_of(context) if not name.startswith("TLS_")} == expected
        assert (context.minimum_version, context.maximum_version) == (
            profile.minimum,
            profile.maximum,
        )


def test_the_profile_whose_suite_may_be_missing(line: str) -> None:
    if "TLS_RSA_WITH_3DES_EDE_CBC_SHA" in cipher_suites():
        assert "DES-CBC3-SHA" in suites_of(acceptor_of(f"{line} +pb"))
    else:
        with pytest.raises(TLSError, match="lacks TLS_RSA_WITH_3DES_EDE_CBC_SHA"):
            acceptor_of(f"{line} +pb")


def test_further_cipher_suites(line: str) -> None:
    names = ("TLS_RSA_WITH_AES_256_CBC_SHA", "TLS_DHE_RSA_WITH_AES_128_CBC_SHA")
    more = line + "".join(f" +cs {name}" for name in names)
    added = {"AES256-SHA", "DHE-RSA-AES128-SHA"}
    assert suites_of(acceptor_of(more)) == suites_of(acceptor_of(line)) | added
    with pytest.raises(ssl.SSLError):
        talk(line, f"{line} +pa")
    asking, _ = talk(f"{line} +cs TLS_RSA_WITH_AES_128_CBC_SHA", f"{line} +pa")
    assert asking.cipher() == ("AES128-SHA", "SSLv3", 128)


def test_an_unknown_cipher_suite() -> None:
    with pytest.raises(UsageError, match=r"option \+cs: 'AES' is no cipher suite.*--list-ciphers"):
        parse("+cs AES", acceptor=True)


def test_parameters_are_read(line: str, tmp_path: Path) -> None:
    with pytest.raises(TLSError, match=r"Diffie-Hellman parameters .*: No such file"):
        acceptor_of(f"{line} +dp {tmp_path / 'missing'}")


@pytest.mark.parametrize("option", ["+cc", "--list-ciphers"])
def test_the_list_of_cipher_suites(option: str) -> None:
    lines = TLS_ANSWERS[option]().splitlines()
    assert lines[0].endswith(":")
    assert [text.strip() for text in lines[1:]] == list(cipher_suites())


@pytest.mark.parametrize("option", ["+ph", "--list-profiles"])
def test_the_list_of_profiles(line: str, option: str) -> None:
    _, *lines = TLS_ANSWERS[option]().splitlines()
    assert len(lines) >= len(PROFILES) - 1
    for text in lines:
        acceptor_of(f"{line} {text.split(':')[0]}")


# Rules -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "note"),
    [
        ("+rs file", "--seed"),
        ("+rs file +ws", "--write-seed"),
        ("+rs file +wf other", "--write-seed-file"),
    ],
)
def test_random_seeds_have_no_effect(line: str, options: str, note: str) -> None:
    settings = parse(f"{line} {options}", acceptor=True)
    assert settings["notes"][-1].startswith(f"{note} has no effect: ")


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("+pw x", "--use-passwd only allowed with --enable-tls"),
        ("-pw", "--null-passwd only allowed with --enable-tls"),
        ("+ps", "--std-passwd only allowed with --enable-tls"),
        ("+tls k c +pw x -tls", "--use-passwd only allowed with --enable-tls"),
        ("-der", "--der-keys only allowed with --enable-tls"),
        ("+cf f", "--add-cert-file only allowed with --enable-tls"),
        ("+crl f", "--add-crl-file only allowed with --enable-tls"),
        ("+px", "--profile-bcp195 only allowed with --enable-tls"),
        ("+cs TLS_AES_128_GCM_SHA256", "--cipher only allowed with --enable-tls"),
        ("+dp f", "--dhparam only allowed with --enable-tls"),
        ("-ic", "--ignore-peer-cert only allowed with --enable-tls"),
        ("+tls k c +ws", "--write-seed only allowed with --seed"),
        ("+tls k c +wf f", "--write-seed-file only allowed with --seed"),
        ("+tla", "unknown option +tla"),
        ("--request-sni s", "unknown option --request-sni"),
        ("+tls k", "missing value for option +tls: [c]ertificate-file"),
    ],
)
def test_what_an_acceptor_does_not_take(line: str, complaint: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(line, acceptor=True)
    assert str(caught.value) == complaint


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("+tla +pw x", "--use-passwd only allowed with --enable-tls"),
        ("-ic", "--ignore-peer-cert only allowed with --enable-tls or --anonymous-tls"),
        ("-vc", "--verify-peer-cert only allowed with --enable-tls or --anonymous-tls"),
        ("+dp f", "--dhparam only allowed with --enable-tls or --anonymous-tls"),
        ("--expect-sni s", "unknown option --expect-sni"),
    ],
)
def test_what_a_requestor_does_not_take(line: str, complaint: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(line, acceptor=False)
    assert str(caught.value) == complaint


def test_help_is_not_slowed_down() -> None:
    """Nothing of TLS is loaded until somebody wants it."""
    code = "import sys, aiodicom.cli.tls as t; t.tls_options(acceptor=True);"
    code += "print('aiodicom.tls' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=20
    )
    assert done.stdout == "False\n"
