"""User names and passwords, of which a file holds the hashes; a verifier of user identities."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from aiodicom.access.rules import not_authenticated
from aiodicom.errors import AssociationRejected
from aiodicom.requests import AssociationInfo
from aiodicom.wire.items import UserIdentity

__all__ = ["PasswordHash", "Passwords"]

MOST_WAITING = 64
"""Passwords that wait to be looked at, one after the other; one more is told to come later."""

MOST_MEMORY = 64 << 20
"""Bytes that the hash of one password may take."""

MOST_PASSES = 16
"""How often (p)."""

LENGTH = 32
"""Bytes of a hash."""

_HASH = re.compile(
    r"\$scrypt\$ln=(\d{1,2}),r=(\d{1,3}),p=(\d{1,3})\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)"
)


@dataclass(frozen=True, slots=True)
class Cost:
    """What a hash costs who makes it (RFC 7914): 2 ** `ln` times `r` times 128 bytes, `p` times."""

    ln: int = 14
    r: int = 8
    p: int = 1

    @property
    def memory(self) -> int:
        """Bytes that it takes."""
        return self.r * (128 << self.ln)

    def hash(self, password: bytes, salt: bytes, length: int) -> bytes:
        """Return the hash of a password; it takes a twentieth of a second."""
        return hashlib.scrypt(
            password,
            salt=salt,
            n=1 << self.ln,
            r=self.r,
            p=self.p,
            maxmem=2 * MOST_MEMORY,
            dklen=length,
        )


@dataclass(frozen=True, slots=True)
class PasswordHash:
    """What is kept of a password: ``$scrypt$ln=14,r=8,p=1$SALT$HASH``, base64 without padding.

    As text (``str``) it is a part of a line that `Passwords.parse` reads.
    """

    cost: Cost
    salt: bytes
    hash: bytes

    @classmethod
    def of(cls, password: bytes) -> PasswordHash:
        """Return the hash of a password, with a salt of its own; it takes a twentieth of a second.

        Parameters
        ----------
        password : bytes
            The password, as peers send it: their passcodes are UTF-8 (PS3.7 D.3.3.7.1).
        """
        cost, salt = Cost(), os.urandom(16)
        return cls(cost, salt, cost.hash(password, salt, LENGTH))

    @classmethod
    def parse(cls, text: str) -> PasswordHash:
        """Return the hash that a text says.

        Parameters
        ----------
        text : str
            What ``str`` made of one.

        Raises
        ------
        ValueError
            Where it says none, or one that would take too much memory.
        """
        found = _HASH.fullmatch(text)
        if found is None:
            raise ValueError("there is no hash such as $scrypt$ln=14,r=8,p=1$...$...")
        cost = Cost(*(int(number) for number in found.groups()[:3]))
        if not (cost.ln and cost.r and 0 < cost.p <= MOST_PASSES and cost.memory <= MOST_MEMORY):
            most = f"{MOST_MEMORY >> 20} MiB, {MOST_PASSES} times"
            raise ValueError(f"its hash costs nothing, or more than {most}: make another one")
        salt, hashed = (_decoded(each) for each in found.groups()[3:])
        if not 16 <= len(hashed) <= 64:
            raise ValueError(f"its hash has {len(hashed)} bytes: 16 to 64, such as {LENGTH}")
        return cls(cost, salt, hashed)

    def __str__(self) -> str:
        cost, salt, hashed = self.cost, _encoded(self.salt), _encoded(self.hash)
        return f"$scrypt$ln={cost.ln},r={cost.r},p={cost.p}${salt}${hashed}"

    def __repr__(self) -> str:  # it has no business in a log
        return "PasswordHash(...)"

    def is_of(self, password: bytes) -> bool:
        """Tell whether it is that of a password. It takes as long in either case.

        Parameters
        ----------
        password : bytes
            The password, as `of` takes it.
        """
        made = self.cost.hash(password, self.salt, len(self.hash))
        return hmac.compare_digest(made, self.hash)


def _encoded(data: bytes) -> str:
    return base64.b64encode(data).decode().rstrip("=")


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        raise ValueError("its salt or hash is no base64 without padding") from None


class Passwords:
    """Verifies user names with passcodes (PS3.7 D.3.3.7, type 2), and accepts no other identity.

    A user who is not known costs the same time as a wrong password and is told the same. One
    password is looked at after the other, in a thread: an attacker occupies one core, and 16 MiB.

    Parameters
    ----------
    hashes : mapping of str to PasswordHash
        The users. All hashes have one cost, or the time would tell who is known.

    Raises
    ------
    ValueError
        Where they have not.
    """

    def __init__(self, hashes: Mapping[str, PasswordHash]) -> None:
        costs = {each.cost for each in hashes.values()}
        if len(costs) > 1:
            raise ValueError("the hashes differ in their costs: make them anew, all alike")
        cost = costs.pop() if costs else Cost()
        self._hashes = {name.encode(): each for name, each in hashes.items()}
        self._nobody = PasswordHash(cost, os.urandom(16), os.urandom(LENGTH))
        self._turn = asyncio.Semaphore(1)
        self._waiting = 0

    def __len__(self) -> int:
        return len(self._hashes)

    @classmethod
    def parse(cls, text: str) -> Passwords:
        """Return the users of a file: ``NAME:HASH`` in each line that is not empty nor a ``#``.

        Parameters
        ----------
        text : str
            What is in the file.

        Raises
        ------
        ValueError
            Where a line is none; the text says which one, and not what is in it.
        """
        hashes: dict[str, PasswordHash] = {}
        for number, line in enumerate(text.splitlines(), 1):
            line = line.strip()
            if not line or line.startswith("#"):
                continue
            name, colon, hashed = line.rpartition(":")
            if not colon or not name:
                raise ValueError(f"line {number} is not NAME:HASH")
            if name in hashes:
                raise ValueError(f"line {number}: this user is there twice")
            try:
                hashes[name] = PasswordHash.parse(hashed)
            except ValueError as error:
                raise ValueError(f"line {number}: {error}") from None
        return cls(hashes)

    async def __call__(self, info: AssociationInfo, identity: UserIdentity) -> bytes | None:
        """Let a user be, or raise `AssociationRejected`."""
        known = self._hashes.get(identity.primary)
        if self._waiting >= MOST_WAITING:
            raise AssociationRejected("too many passwords to look at", 2, 3, 1)
        self._waiting += 1
        try:
            async with self._turn:
                hashed = known or self._nobody
                is_right = await asyncio.to_thread(hashed.is_of, identity.secondary)
        finally:
            self._waiting -= 1
        if not is_right or known is None or identity.identity_type != 2:
            raise not_authenticated()
        return None
