"""Access files: what they say, what is wrong with them, and that they are read again."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from aiodicom import Access, AccessFile, AssociationRejected, Binding
from aiodicom.access.file import AccessFileError, read_access
from aiodicom.access.passwords import Passwords
from tests.access.test_passwords import GOOD
from tests.access.test_rules import who
from tests.peer import Peer, association_request
from tests.serving import serving

DOCS = Path(__file__).parents[2] / "docs" / "access.md"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "access.toml"


def test_all_of_it(path: Path) -> None:
    path.with_name("users.txt").write_text(f"ann:{GOOD}\n")
    path.write_text("""
        called_ae_titles = ["HERE"]
        calling_ae_titles = ["CT1"]
        allow = ["10.0.0.0/8", "fd00::/8"]
        deny = ["10.9.0.0/16"]
        [identity]
        users = "users.txt"
        [[rule]]
        calling_ae_title = "MR1"
        networks = ["10.1.2.3"]
        certificate_names = ["mr1.clinic"]
        certificate_subjects = ["CN=mr1,O=Clinic"]
        [[rule]]
        calling_ae_title = "US1"
    """)
    access = read_access(path)
    assert isinstance(access.verify, Passwords)
    assert len(access.verify) == 1
    assert access == Access(
        called_ae_titles=["HERE"],
        calling_ae_titles=["CT1"],
        allow=["10.0.0.0/8", "fd00::/8"],
        deny=["10.9.0.0/16"],
        bindings=[
            Binding("MR1", ["10.1.2.3"], ["mr1.clinic"], ["CN=mr1,O=Clinic"]),
            Binding("US1"),
        ],
        verify=access.verify,
        require_identity=True,
    )


def test_an_empty_file_lets_everybody_in(path: Path) -> None:
    path.touch()
    assert read_access(path) == Access()


def test_an_identity_need_not_be_required(path: Path) -> None:
    path.with_name("users").write_text("")
    path.write_text('identity = {users = "users", required = false}')
    assert not read_access(path).require_identity


def test_the_example_in_the_docs(path: Path) -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", DOCS.read_text(), re.DOTALL)
    path.with_name("users.txt").touch()
    path.write_text(example)
    access = read_access(path)
    keys = set(re.findall(r"^#? ?(\w+) = ", example, re.MULTILINE))
    assert {*_keys_of(Access), *_keys_of(Binding), "users", "required"} <= keys
    assert len(tuple(access.bindings)) == 3


def _keys_of(kind: type) -> set[str]:
    others = {"bindings", "verify", "require_identity"}
    return {name for name in kind.__slots__ if name[0] != "_"} - others  # type: ignore[attr-defined]


RULE = '[[rule]]\ncalling_ae_title = "A"\n'


@pytest.mark.parametrize(("text", "message"), [
    ("allow = x", "is no TOML: .*line 1"),
    ("allowed = []", "allowed: there is no such key; these are: called_ae_titles"),
    ('allow = "10.0.0.0/8"', "allow: '10.0.0.0/8' is no list such as"),
    ("deny = [1]", r"deny: \[1\] is no list"),
    ('deny = ["10.0.0.1/8"]', "deny: '10.0.0.1/8' is .*: write 10.0.0.0/8"),
    ('calling_ae_titles = ["A", ""]', "calling_ae_titles: '' is no AE title"),
    ('called_ae_titles = ["SEVENTEEN LETTERS"]', "called_ae_titles: .*16 characters"),
    ("rule = 1", r"rule: it is a table; write \[\[rule\]\]"),
    ("rule = [1]", r"rule: it is a table; write \[\[rule\]\]"),
    ("[rule]\n", r"rule: it is a table; write \[\[rule\]\]"),
    ("[[rule]]\n", "rule 1: calling_ae_title: it has none; write"),
    (f'{RULE}{RULE}network = ["::1"]', "rule 2: network: there is no such key; these are: .*netw"),
    (f'{RULE}networks = ["x"]', "rule 1: networks: 'x' is no network or address, such as"),
    (f'{RULE}certificate_subjects = ["x"]', "rule 1: certificate_subjects: 'x' is no subject"),
    ('[[rule]]\ncalling_ae_title = ""', "rule 1: calling_ae_title: '' is no AE title"),
    ("identity = 1", r"identity: it is no table; write \[identity\]"),
    ("[identity]", "identity: users: there are none; write users"),
    ('[identity]\nuser = "x"', "identity: user: there is no such key; these are: users"),
    ('[identity]\nusers = "x"', "identity: users: .*/x: No such file or directory: it must"),
    ('[identity]\nusers = "bad"', "identity: users: .*/bad: line 1 is not NAME:HASH"),
    ('[identity]\nusers = "bad"\nrequired = 1', "identity: required: 1 is neither true nor"),
])  # fmt: skip
def test_what_is_wrong_is_said(path: Path, text: str, message: str) -> None:
    path.with_name("bad").write_text("ann")
    path.write_text(text)
    with pytest.raises(AccessFileError, match=f"(?s)^access file .*/access.toml:? .*{message}"):
        AccessFile(path)


def test_a_file_that_cannot_be_read(path: Path) -> None:
    with pytest.raises(AccessFileError, match="No such file or directory: it must be readable"):
        AccessFile(path)
    path.write_bytes(b'allow = ["\xff"]')
    with pytest.raises(AccessFileError, match="no UTF-8: save it"):
        AccessFile(path)


# Read again --------------------------------------------------------------------------------------


async def write(path: Path, text: str) -> None:
    await asyncio.to_thread(path.write_text, text)


async def loaded(path: Path, text: str) -> AccessFile:
    await write(path, text)
    return await asyncio.to_thread(AccessFile, path)


async def test_what_was_read_is_told(path: Path) -> None:
    await write(path.with_name("users"), f"ann:{GOOD}\n")
    access = await loaded(path, RULE)
    assert await access.reload() == f"access file {path}: 1 rules"
    await write(path, f'identity.users = "users"\n{RULE}{RULE}')
    assert await access.reload() == f"access file {path}: 2 rules, 1 users"


async def test_what_cannot_be_read_again_changes_nothing(path: Path) -> None:
    access = await loaded(path, 'allow = ["10.0.0.0/8"]')
    for text in ("allow = [", 'identity.users = "gone"'):
        await write(path, text)
        with pytest.raises(AccessFileError):
            await access.reload()
    await asyncio.to_thread(path.unlink)
    with pytest.raises(AccessFileError):
        await access.reload()
    assert access.allows("10.0.0.1")
    assert not access.allows("11.0.0.1")
    with pytest.raises(AssociationRejected):
        access.check(who(address="11.0.0.1"))


async def test_running_associations_stay_and_new_ones_obey(path: Path) -> None:
    access = await loaded(path, 'calling_ae_titles = ["OLD"]')
    old, new = association_request(calling="OLD"), association_request(calling="NEW")
    async with (
        serving(access=access) as server,
        Peer(server.port) as running,
        Peer(server.port) as silent,
    ):
        await running.associate(old)
        async with Peer(server.port) as other, Peer(server.port) as early:
            assert await other.rejected(new) == (1, 1, 3)
            await write(path, 'calling_ae_titles = ["NEW"]')
            await access.reload()
            await early.associate(new)  # connected before
        async with Peer(server.port) as other:
            assert await other.rejected(old) == (1, 1, 3)
        assert await running.echo() == 0
        await write(path, 'deny = ["127.0.0.0/8"]')
        await access.reload()
        async with Peer(server.port) as other:
            assert not await other.still_open(10)
        assert await silent.rejected(new) == (1, 1, 1)
        assert await running.echo() == 0
        await running.release()
