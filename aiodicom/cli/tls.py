"""The TLS options of the commands, and the contexts that they ask for."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from aiodicom.cli.options import Group, Option, Rule, count, needs, port, seconds
from aiodicom.cli.typed_password import TypedPassword

if TYPE_CHECKING:
    import ssl

    from aiodicom.tls import TLS, AcceptorTLS

__all__ = [
    "ACCEPTOR_TLS_DEFAULTS",
    "TLS_ANSWERS",
    "TLS_DEFAULTS",
    "acceptor_tls",
    "list_ciphers",
    "list_profiles",
    "requestor_context",
    "server_name",
    "tls_options",
    "tls_rules",
    "wanted_tls",
]

_DEFAULTS: Mapping[str, object] = {
    "tls": None,
    "tls_password": None,
    "tls_is_der": False,
    "tls_authorities": (),
    "tls_authority_folders": (),
    "tls_revocation_lists": (),
    "tls_revocation": "NOBODYS",
    "tls_profile": "8996",
    "tls_suites": (),
    "tls_dh_parameters": None,
    "tls_server_name": "",
    "tls_verify": "REQUIRED",
}

TLS_DEFAULTS: Mapping[str, object] = {**_DEFAULTS, "tls_check_host_name": False}
ACCEPTOR_TLS_DEFAULTS: Mapping[str, object] = {
    **_DEFAULTS,
    "tls_port": None,
    "tls_look_every": 60.0,
    "tls_warn_days": 30,
}
"""What stands of the TLS options, a sender's and a receiver's, where nothing is said: no TLS.

``tls`` is None, a pair of files, or () for TLS without a certificate of our own.
"""

_SEEDS_ITSELF = "OpenSSL seeds its random generator itself"


def _suite(text: str) -> str:
    """Convert the name of a cipher suite."""
    from aiodicom.tls import cipher_suites

    if text not in cipher_suites():
        raise ValueError(f"{text!r} is no cipher suite of this OpenSSL: see --list-ciphers")
    return text


def tls_options(*, acceptor: bool) -> tuple[Group, ...]:
    """Return the TLS options of an acceptor, or of a requestor."""
    return (
        _transport(acceptor),
        _PASSWORD,
        _FORMAT,
        _AUTHORITIES,
        _PROFILE,
        _suites(acceptor),
        _server_name(acceptor),
        _RANDOM,
        _peer(acceptor),
        *((_FILES,) if acceptor else ()),
    )


def _transport(acceptor: bool) -> Group:
    anonymous = Option(
        ("+tla", "--anonymous-tls"),
        "tls",
        "use secure TLS connection without certificate",
        value=(),
    )
    return Group(
        "transport layer security (TLS) options",
        (
            Option(("-tls", "--disable-tls"), "tls", "use normal TCP/IP connection (default)",
                   value=None),
            Option(("+tls", "--enable-tls"), "tls", "use authenticated secure TLS connection",
                   "[p]rivate-key-file [c]ertificate-file"),
            _PORT if acceptor else anonymous,
        ),
    )  # fmt: skip


_PORT = Option(
    ("--tls-port",), "tls_port",
    "use TLS on port n and none on the other (default: TLS on the only port)", "[n]umber", port,
)  # fmt: skip

_PASSWORD = Group(
    "TLS: private key password (only with --enable-tls)",
    (
        Option(("+ps", "--std-passwd"), "tls_password",
               "ask for the password, where there is one (default)", value=None),
        Option(("+pw", "--use-passwd"), "tls_password", "use specified password", "[p]assword"),
        Option(("-pw", "--null-passwd"), "tls_password", "use empty string as password", value=""),
    ),
)  # fmt: skip

_FORMAT = Group(
    "TLS: key and certificate file format",
    (
        Option(("-pem", "--pem-keys"), "tls_is_der",
               "read our key and certificate as PEM file (default)", value=False),
        Option(("-der", "--der-keys"), "tls_is_der", "read our key and certificate as DER file",
               value=True),
    ),
)  # fmt: skip

_AUTHORITIES = Group(
    "TLS: certification authority",
    (
        Option(("+cf", "--add-cert-file"), "tls_authorities",
               "add certificate file to list of certificates, PEM or DER", "[f]ilename",
               repeats=True),
        Option(("+cd", "--add-cert-dir"), "tls_authority_folders",
               "add certificates in d to list of certificates", "[d]irectory", repeats=True),
        Option(("+crl", "--add-crl-file"), "tls_revocation_lists",
               "add certificate revocation list file (implies --enable-crl-vfy)", "[f]ilename",
               repeats=True),
        Option(("+crv", "--enable-crl-vfy"), "tls_revocation", "enable leaf CRL verification",
               value="PEERS"),
        Option(("+cra", "--enable-crl-all"), "tls_revocation",
               "enable full chain CRL verification", value="WHOLE_CHAIN"),
    ),
)  # fmt: skip


def _profile(short: str, end: str, title: str) -> Option:
    return Option((short, f"--profile-{end}"), "tls_profile", title, value=end)


_PROFILE = Group(
    "TLS: security profile",
    (
        Option(("+ph", "--list-profiles"), "tls_list", "list supported TLS profiles and exit"),
        _profile("+pg", "8996", "BCP 195 RFC 8996 TLS profile (default)"),
        _profile("+pm", "8996-mod", "modified BCP 195 RFC 8996 TLS profile (without CCM in 1.3)"),
        _profile("+py", "bcp195-nd", "non-downgrading BCP 195 TLS profile (retired)"),
        _profile("+px", "bcp195", "BCP 195 TLS profile (retired)"),
        _profile("+pz", "bcp195-ex", "extended BCP 195 TLS profile (retired)"),
        _profile("+pb", "basic", "basic TLS profile (retired; few OpenSSLs have its suite)"),
        _profile("+pa", "aes", "AES TLS profile (retired)"),
        _profile("+pn", "null", "authenticated and not encrypted (retired)"),
    ),
)


def _suites(acceptor: bool) -> Group:
    parameters = Option(
        ("+dp", "--dhparam"),
        "tls_dh_parameters",
        "read DH parameters for DHE ciphersuites (default: ffdhe2048)"
        if acceptor
        else "accepted, and left to the acceptor: DH parameters",
        "[f]ilename",
        note="" if acceptor else "the acceptor chooses the DH parameters",
    )
    return Group(
        "TLS: ciphersuite",
        (
            Option(("+cc", "--list-ciphers"), "tls_list",
                   "list supported TLS ciphersuites and exit"),
            Option(("+cs", "--cipher"), "tls_suites",
                   "add ciphersuite to those of the profile, under its RFC's name",
                   "[c]iphersuite", _suite, repeats=True),
            parameters,
        ),
    )  # fmt: skip


def _server_name(acceptor: bool) -> Group:
    other = (
        Option(
            ("--expect-sni",),
            "tls_server_name",
            "refuse requests for other server names than s",
            "[s]erver-name",
        )
        if acceptor
        else Option(("--request-sni",), "tls_server_name", "request server name s", "[s]erver-name")
    )
    return Group(
        "TLS: server name indication",
        (Option(("--no-sni",), "tls_server_name", "do not use SNI (default)", value=""), other),
    )  # fmt: skip


_RANDOM = Group(
    "TLS: pseudo random generator",
    (
        Option(("+rs", "--seed"), "tls_seed", "accepted, without effect: random numbers",
               "[f]ilename", note=_SEEDS_ITSELF),
        Option(("+ws", "--write-seed"), "tls_write_seed",
               "accepted, without effect: a seed for the next time", note=_SEEDS_ITSELF),
        Option(("+wf", "--write-seed-file"), "tls_write_seed",
               "accepted, without effect: a seed in another file", "[f]ilename",
               note=_SEEDS_ITSELF),
    ),
)  # fmt: skip


def _peer(acceptor: bool) -> Group:
    if_present = Option(
        ("-vc", "--verify-peer-cert"),
        "tls_verify",
        "verify peer certificate if present"
        if acceptor
        else "the same: an acceptor that has none cannot be spoken to",
        value="IF_PRESENT" if acceptor else "REQUIRED",
    )
    return Group(
        "TLS: peer authentication",
        (
            Option(("-rc", "--require-peer-cert"), "tls_verify",
                   "verify peer certificate, fail if absent (default)", value="REQUIRED"),
            if_present,
            Option(("-ic", "--ignore-peer-cert"), "tls_verify", "don't verify peer certificate",
                   value="IGNORED"),
            *(() if acceptor else (_HOST_NAME,)),
        ),
    )  # fmt: skip


_HOST_NAME = Option(
    ("--check-host-name",),
    "tls_check_host_name",
    "want the peer's name, or that of --request-sni, in its certificate",
)

_FILES = Group(
    "TLS: keys and certificates over time",
    (
        Option(("--tls-look-every",), "tls_look_every",
               "look for changed files and read them again (default: 60; 0: on SIGHUP only)",
               "[s]econds", seconds),
        Option(("--tls-warn-days",), "tls_warn_days",
               "warn of certificates so long before they expire (default: 30)",
               "[d]ays", count(0)),
    ),
)  # fmt: skip


def tls_rules(*, acceptor: bool) -> tuple[Rule, ...]:
    """Return what options are only for use with others."""
    with_tls = ("--enable-tls",) if acceptor else ("--enable-tls", "--anonymous-tls")
    of_the_key = {option.name for option in _PASSWORD.options}
    anyway = {"--disable-tls", *with_tls, "--list-ciphers", "--list-profiles", "--no-sni"}
    names = [option.name for group in tls_options(acceptor=acceptor) for option in group.options]
    return (
        *(needs(name, "--enable-tls") for name in names if name in of_the_key),
        *(needs(name, *with_tls) for name in names if name not in of_the_key | anyway),
        needs("--write-seed", "--seed"),
        needs("--write-seed-file", "--seed"),
    )


def acceptor_tls(settings: Mapping[str, Any]) -> AcceptorTLS | None:
    """Return what a receiving command's settings ask for; None without TLS.

    It reads files and may ask the terminal for the key's password: before anything starts.

    Raises
    ------
    TLSError
        Where there is something wrong with them.
    """
    if settings["tls"] is None:
        return None
    from aiodicom.tls import AcceptorTLS

    password = _password(settings)
    acceptor = AcceptorTLS(
        _wanted(settings, password),
        look_every=settings["tls_look_every"],
        warn_days=settings["tls_warn_days"],
    )
    if isinstance(password, TypedPassword):
        password.ask_no_more()
    return acceptor


def requestor_context(settings: Mapping[str, Any]) -> ssl.SSLContext | None:
    """Return the context that a sending command's settings ask for; None without TLS.

    It reads files and may ask the terminal for the key's password: before anything starts.

    Raises
    ------
    TLSError
        Where one cannot be made of them.
    """
    if settings["tls"] is None:
        return None
    from aiodicom import tls

    wanted = _wanted(settings, _password(settings))
    check = settings["tls_check_host_name"]
    return tls.requestor_context(dataclasses.replace(wanted, check_host_name=check))


def server_name(settings: Mapping[str, Any]) -> str:
    """Return the server name that a requestor asks for; empty for none (RFC 6066 section 3).

    It is also the one that is looked for in the acceptor's certificate, if that is wanted.
    """
    asked = str(settings["tls_server_name"])
    return str(settings["peer"]) if settings["tls_check_host_name"] and not asked else asked


def _password(settings: Mapping[str, Any]) -> str | TypedPassword:
    if settings["tls_password"] is not None:
        return str(settings["tls_password"])
    key, _ = settings["tls"] or (None, None)
    return TypedPassword(key)


def wanted_tls(settings: Mapping[str, Any]) -> TLS | None:
    """Return what a command line wants of TLS, without looking at a file; None without TLS."""
    return None if settings["tls"] is None else _wanted(settings, "")


def _wanted(settings: Mapping[str, Any], password: str | TypedPassword) -> TLS:
    from aiodicom.tls import PROFILES, TLS, Revocation, Verify

    key, certificate = settings["tls"] or (None, None)
    revocation = Revocation[settings["tls_revocation"]]
    if settings["tls_revocation_lists"] and revocation is Revocation.NOBODYS:
        revocation = Revocation.PEERS
    return TLS(
        key=key,
        certificate=certificate,
        password=password,
        is_der=settings["tls_is_der"],
        authorities=settings["tls_authorities"],
        authority_folders=settings["tls_authority_folders"],
        revocation_lists=settings["tls_revocation_lists"],
        revocation=revocation,
        verify=Verify[settings["tls_verify"]],
        profile=PROFILES[settings["tls_profile"]],
        suites=settings["tls_suites"],
        dh_parameters=settings["tls_dh_parameters"],
        server_name=settings["tls_server_name"],
    )


def list_ciphers() -> str:
    """Return what ``--list-ciphers`` prints."""
    from aiodicom.tls import cipher_suites

    return "\n".join(
        ("Supported TLS ciphersuites are:", *(f"  {name}" for name in cipher_suites()))
    )


def list_profiles() -> str:
    """Return what ``--list-profiles`` prints: those that have at least one cipher suite here."""
    from aiodicom.tls import PROFILES, cipher_suites

    lines = ["Supported TLS profiles are:"]
    for name, profile in PROFILES.items():
        if not cipher_suites().keys().isdisjoint(profile.suites):
            lines.append(f"  --profile-{name}: {profile.title}")
    return "\n".join(lines)


TLS_ANSWERS: Mapping[str, Callable[[], str]] = {
    "+cc": list_ciphers,
    "--list-ciphers": list_ciphers,
    "+ph": list_profiles,
    "--list-profiles": list_profiles,
}
"""Options that are answered with a text, whatever else is there, as ``--help`` is."""
