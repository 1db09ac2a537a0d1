"""What commands that ask for associations share: who asks, how, and how they end."""

from __future__ import annotations

import asyncio
import importlib.util
import logging
import signal
import socket
import ssl
import subprocess
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import pytest

import aiodicom
from aiodicom import AssociationClosed, Timeouts
from aiodicom.cli.common import DEFAULTS, Failed
from aiodicom.cli.network import PROFILE, REQUESTOR_DEFAULTS, requestor_options
from aiodicom.cli.options import Command, UsageError, port
from aiodicom.cli.profiles import Profile, profile_of
from aiodicom.cli.requesting import (
    IDENTITY_DEFAULTS,
    IDENTITY_OPTIONS,
    IDENTITY_RULES,
    connection_settings,
    identity_of,
    negotiation_items,
    run,
    show_contexts,
)
from aiodicom.cli.tls import TLS_DEFAULTS, tls_options, tls_rules
from aiodicom.wire.items import (
    RoleSelection,
    SOPClassExtendedNegotiation,
    UserIdentity,
    UserIdentityResponse,
)
from aiodicom.wire.negotiation import EXPLICIT_LITTLE, IMPLICIT_LITTLE
from tests.peer import CT
from tests.scripted_acceptor import Caller, accepting, connected

MR = "1.2.840.10008.5.1.4.1.1.4"

COMMAND = Command(
    "example",
    "shows options",
    {"peer": str, "port": port},
    (requestor_options("EXAMPLE"), PROFILE, IDENTITY_OPTIONS, *tls_options(acceptor=False)),
    {
        **DEFAULTS,
        **REQUESTOR_DEFAULTS,
        **IDENTITY_DEFAULTS,
        **TLS_DEFAULTS,
        "ae_title": "EXAMPLE",
        "profile": None,
        "verbose_pc": False,
    },
    (*IDENTITY_RULES, *tls_rules(acceptor=False)),
)


def settings_of(*options: str) -> dict[str, Any]:
    return COMMAND.parse([*options, "localhost", "104"])


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Any:
    caplog.set_level(logging.INFO, "aiodicom")
    return caplog


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_bytes(b"\0\xffsecret\n")
    return path


# Who asks -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ((), None),
        (("-usr", "jo"), UserIdentity(1, 0, b"jo")),
        (("--user", "Jürg"), UserIdentity(1, 0, "Jürg".encode())),
        (("-usr", "jo", "-pwd", "geheim"), UserIdentity(2, 0, b"jo", b"geheim")),
        (("-usr", "jo", "-epw"), UserIdentity(2, 0, b"jo", b"")),
        (("-usr", "jo", "-epw", "-pwd", "x"), UserIdentity(2, 0, b"jo", b"x")),
        (("-usr", "jo", "-pwd", "x", "-epw"), UserIdentity(2, 0, b"jo", b"")),
        (("-usr", "jo", "-rsp"), UserIdentity(1, 1, b"jo")),
        (("-usr", "jo", "-pwd", "x", "-rsp"), UserIdentity(2, 1, b"jo", b"x")),
        (("-usr", ""), UserIdentity(1, 0, b"")),
    ],
)
def test_a_user_and_a_password(options: tuple[str, ...], expected: UserIdentity | None) -> None:
    assert identity_of(settings_of(*options)) == expected


@pytest.mark.parametrize(
    ("option", "kind"), [("-kt", 3), ("--kerberos", 3), ("--saml", 4), ("--jwt", 5)]
)
@pytest.mark.parametrize("response", [0, 1])
def test_what_is_in_a_file_is_sent_as_it_is(
    secret: Path, option: str, kind: int, response: int
) -> None:
    settings = settings_of(option, f"{secret}", *["-rsp"] * response)
    assert identity_of(settings) == UserIdentity(kind, response, b"\0\xffsecret\n")


def test_a_file_that_is_missing_is_said_to_be(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        identity_of(settings_of("--saml", f"{tmp_path}/none"))
    assert caught.value.filename == f"{tmp_path}/none"


@pytest.mark.parametrize("options", [("-usr", "\udcff"), ("-usr", "jo", "-pwd", "\udcff")])
def test_a_name_or_password_that_is_no_text_is_a_failure(options: tuple[str, ...]) -> None:
    with pytest.raises(Failed) as caught:
        identity_of(settings_of(*options))
    assert str(caught.value) == "the user's name or password is no UTF-8: type it in a UTF-8 locale"


def test_an_identity_that_is_too_long_for_an_association_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "fits").write_bytes(bytes(65000))
    (tmp_path / "long").write_bytes(bytes(65001))
    fits = identity_of(settings_of("--jwt", f"{tmp_path}/fits"))
    aiodicom.connect("localhost", 104, window=8, user_identity=fits)  # it has room for it
    with pytest.raises(Failed) as caught:
        identity_of(settings_of("--jwt", f"{tmp_path}/long"))
    assert str(caught.value) == (
        "a user identity of 65001 bytes, and an association has room for 65000: use a shorter one"
    )
    with pytest.raises(Failed):
        identity_of(settings_of("-usr", "u" * 40000, "-pwd", "p" * 40000))


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (("-pwd", "x"), "--password only allowed with --user"),
        (("-epw",), "--empty-password only allowed with --user"),
        (("-pwd", "x", "--jwt", "f"), "--password only allowed with --user"),
        (("-rsp",), "--pos-response only allowed with --user or --kerberos or --saml or --jwt"),
        (("-usr", "jo", "-kt", "f"), "--user not allowed with --kerberos"),
        (("-usr", "jo", "--saml", "f"), "--user not allowed with --saml"),
        (("--jwt", "f", "-usr", "jo"), "--user not allowed with --jwt"),
        (("-kt", "f", "--saml", "f"), "--kerberos not allowed with --saml"),
        (("-kt", "f", "--jwt", "f"), "--kerberos not allowed with --jwt"),
        (("--jwt", "f", "--saml", "f"), "--saml not allowed with --jwt"),
    ],
)
def test_options_that_do_not_go_together(options: tuple[str, ...], line: str) -> None:
    with pytest.raises(UsageError) as caught:
        settings_of(*options)
    assert str(caught.value) == line


# How the peer is reached --------------------------------------------------------------------------


def test_nothing_said() -> None:
    assert connection_settings(settings_of()) == {
        "host": "localhost",
        "port": 104,
        "called_ae_title": "ANY-SCP",
        "calling_ae_title": "EXAMPLE",
        "maximum_length": 16384,
        "timeouts": Timeouts(association=30, dimse=None, network=60, connection=None),
        "family": socket.AF_UNSPEC,
        "ssl": None,
        "server_hostname": "",
    }


def test_everything_said() -> None:
    settings = settings_of(
        *("-aet", "ME", "-aec", "YOU", "-pdu", "8192", "-i6"),
        *("-to", "1", "-ta", "2", "-td", "3", "-tn", "4"),
    )
    assert connection_settings(settings) == {
        "host": "localhost",
        "port": 104,
        "called_ae_title": "YOU",
        "calling_ae_title": "ME",
        "maximum_length": 8192,
        "timeouts": Timeouts(association=2, dimse=3, network=4, connection=1),
        "family": socket.AF_INET6,
        "ssl": None,
        "server_hostname": "",
    }


def test_they_are_what_connect_takes() -> None:
    requestor = aiodicom.connect(**connection_settings(settings_of()), **negotiation_items(None))
    assert isinstance(requestor, aiodicom.Requestor)


def test_tls_makes_a_context_and_asks_for_a_server_name() -> None:
    settings = connection_settings(settings_of("+tla", "-ic", "--request-sni", "archive"))
    assert isinstance(settings["ssl"], ssl.SSLContext)
    assert settings["ssl"].verify_mode is ssl.CERT_NONE
    assert settings["server_hostname"] == "archive"


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (("+tla",), "--add-cert-file"),
        (("+tla", "+cf", "{0}/none"), "{0}/none"),
        (("+tla", "+cf", "{0}/rubbish"), "{0}/rubbish"),
        (("+tls", "{0}/none", "{0}/none", "-ic"), "{0}/none"),
        (("+tls", "{0}/rubbish", "{0}/rubbish", "-ic"), "{0}/rubbish"),
    ],
)
def test_keys_and_certificates_of_no_use_are_a_failure(
    tmp_path: Path, options: tuple[str, ...], text: str
) -> None:
    (tmp_path / "rubbish").write_text("rubbish")
    settings = settings_of(*(option.format(tmp_path) for option in options))
    with pytest.raises(Failed) as caught:
        connection_settings(settings)
    assert text.format(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.code == 1


# Profiles -----------------------------------------------------------------------------------------

CONFIGURATION = """
[[TransferSyntaxes]]
[One]
TransferSyntax1 = LittleEndianExplicit
[[PresentationContexts]]
[Some]
PresentationContext1 = CTImageStorage\\One
PresentationContext3 = MRImageStorage\\One
[[SCPSCURoleSelection]]
[Roles]
Role1 = CTImageStorage\\BOTH
[[ExtendedNegotiation]]
[Extended]
ExtendedNegotiation1 = CTImageStorage\\02000100
[[Profiles]]
[Mine]
PresentationContexts = Some
SCPSCURoleSelection = Roles
ExtendedNegotiation = Extended
"""


@pytest.fixture
def configuration(tmp_path: Path) -> str:
    path = tmp_path / "a.cfg"
    path.write_text(CONFIGURATION)
    return f"{path}"


def test_no_profile() -> None:
    assert profile_of(settings_of(), receiving=False) is None
    assert negotiation_items(None) == {}


def test_a_profile_is_read_and_its_slips_are_warned_of(configuration: str, log: Any) -> None:
    profile = profile_of(settings_of("-xf", configuration, "mine"), receiving=False)
    assert profile is not None
    assert profile.contexts == ((CT, (EXPLICIT_LITTLE,)),)
    assert negotiation_items(profile) == {
        "roles": [RoleSelection(CT, 1, 1)],
        "extended": [SOPClassExtendedNegotiation(CT, b"\x02\0\x01\0")],
    }
    (record,) = log.records
    assert record.levelno == logging.WARNING
    assert "PresentationContext3 is ignored" in record.getMessage()


def test_a_profile_is_one_of_who_proposes() -> None:
    profile = profile_of(settings_of("-xf", "storescu.cfg", "Default"), receiving=False)
    assert profile is not None
    assert len(profile.contexts) <= 128


@pytest.mark.parametrize("name", ["other", "none"])
def test_a_profile_of_no_use_is_a_failure(configuration: str, name: str) -> None:
    path = configuration if name == "other" else f"{configuration}.none"
    with pytest.raises(Failed) as caught:
        profile_of(settings_of("-xf", path, name), receiving=False)
    assert str(caught.value).startswith(f"{path}: ")
    assert caught.value.code == 1


@pytest.mark.parametrize(("role", "bits"), [("SCU", (1, 0)), ("SCP", (0, 1)), ("BOTH", (1, 1))])
def test_roles_are_asked_for(role: str, bits: tuple[int, int]) -> None:
    items = negotiation_items(Profile("any", (), {MR: role, CT: "SCU"}))
    assert items == {
        "roles": [RoleSelection(MR, *bits), RoleSelection(CT, 1, 0)],
        "extended": [],
    }


async def test_a_profile_arrives_at_the_peer(configuration: str) -> None:
    settings = settings_of("-xf", configuration, "mine")
    profile = await asyncio.to_thread(profile_of, settings, receiving=False)
    assert profile is not None

    async def script(caller: Caller) -> None:
        request = await caller.accept()
        assert request.user_item(RoleSelection) == RoleSelection(CT, 1, 1)
        information = SOPClassExtendedNegotiation(CT, b"\x02\0\x01\0")
        assert request.user_item(SOPClassExtendedNegotiation) == information
        await caller.released()

    contexts = profile.contexts
    async with (
        accepting(script) as acceptor,
        connected(acceptor, contexts=contexts, **negotiation_items(profile)),
    ):
        pass


# What was agreed on -------------------------------------------------------------------------------

ONLY_CT = [(CT, [IMPLICIT_LITTLE])]


async def friendly(caller: Caller) -> None:
    await caller.accept()
    await caller.released()


async def confirming(caller: Caller) -> None:
    await caller.accept(16384, UserIdentityResponse(b""))
    await caller.released()


async def test_nothing_is_shown_or_checked_unless_asked_for(log: Any) -> None:
    async with accepting(friendly) as acceptor:
        settings = settings_of("-usr", "jo")
        identity = identity_of(settings)
        async with connected(acceptor, contexts=ONLY_CT, user_identity=identity) as requestor:
            log.clear()
            show_contexts(settings, requestor)
            assert log.records == []


async def test_a_user_who_is_confirmed() -> None:
    async with accepting(confirming) as acceptor:
        identity = identity_of(settings_of("-usr", "jo", "-rsp"))
        async with connected(acceptor, contexts=ONLY_CT, user_identity=identity):
            pass


async def unconfirming(caller: Caller) -> None:
    await caller.accept()
    await caller.aborted()


async def test_a_user_who_is_not_confirmed() -> None:
    async with accepting(unconfirming) as acceptor:
        identity = identity_of(settings_of("-usr", "jo", "-rsp"))
        with pytest.raises(AssociationClosed) as caught:
            async with connected(acceptor, contexts=ONLY_CT, user_identity=identity):
                pass
    assert str(caught.value) == "the peer has not confirmed the user identity"


async def test_presentation_contexts_are_shown_where_asked_for(log: Any) -> None:
    async with (
        accepting(friendly) as acceptor,
        connected(acceptor, contexts=ONLY_CT, called_ae_title="YOU") as requestor,
    ):
        log.clear()
        show_contexts({**settings_of(), "verbose_pc": True}, requestor)
    assert {record.levelno for record in log.records} == {logging.INFO}
    text = "\n".join(log.messages)
    asked, answer = text.split("Accept Parameters:")
    for part, wanted in (
        (asked, ("OUTGOING A-ASSOCIATE-RQ", "YOU", "1 (Proposed)", "=CT Image Storage")),
        (answer, ("INCOMING A-ASSOCIATE-AC", "1 (Accepted)", "=Implicit VR Little Endian")),
    ):
        for words in wanted:
            assert words in part


# Running ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [0, 1, 167])
def test_a_coroutine_makes_the_exit_code(code: int) -> None:
    async def act() -> int:
        await asyncio.sleep(0)
        return code

    assert run(act()) == code


def without_uvloop(name: str) -> ModuleSpec | None:
    return None if name == "uvloop" else ModuleSpec(name, None)


@pytest.mark.parametrize(("is_installed", "module"), [(True, "uvloop"), (False, "asyncio")])
def test_it_runs_on_uvloop_where_that_is_installed(
    monkeypatch: pytest.MonkeyPatch, is_installed: bool, module: str
) -> None:
    if not is_installed:
        monkeypatch.setattr(importlib.util, "find_spec", without_uvloop)
    loops: list[str] = []

    async def act() -> int:
        loops.append(type(asyncio.get_running_loop()).__module__.partition(".")[0])
        return 0

    assert run(act()) == 0
    assert loops == [module]


@pytest.mark.parametrize("is_installed", [True, False])
def test_an_interrupt_ends_it_in_order(monkeypatch: pytest.MonkeyPatch, is_installed: bool) -> None:
    if not is_installed:
        monkeypatch.setattr(importlib.util, "find_spec", without_uvloop)
    ended: list[str] = []

    async def act() -> int:
        try:
            signal.raise_signal(signal.SIGINT)
            await asyncio.get_running_loop().create_future()
        finally:
            await asyncio.sleep(0)  # as what aborts an association does
            ended.append("ended")
        return 0

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):  # which every command's main() makes 130 of
        run(act())
    assert ended == ["ended"]
    assert signal.getsignal(signal.SIGINT) is before


NAMES = """
import asyncio, logging, sys
from aiodicom.cli.requesting import run

async def act():
    return int("pydicom.uid" in sys.modules)

logging.getLogger("aiodicom").setLevel({level})
sys.exit(run(act(), shows_names={shows_names}))
"""


@pytest.mark.parametrize(
    ("level", "shows_names", "are_there"),
    [(logging.INFO, False, 0), (logging.INFO, True, 1), (logging.DEBUG, False, 1)],
)
def test_names_of_uids_that_will_be_shown_are_there_before_it_runs(
    level: int, shows_names: bool, are_there: int
) -> None:
    code = NAMES.format(level=level, shows_names=shows_names)
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == are_there


def test_what_goes_wrong_is_not_hidden() -> None:
    async def act() -> int:
        raise LookupError("a bug")

    with pytest.raises(LookupError, match="a bug"):
        run(act())
