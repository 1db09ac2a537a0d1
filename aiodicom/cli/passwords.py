"""``python -m aiodicom.cli.passwords NAME``: a user's line for a file of passwords."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Sequence

from aiodicom.access.passwords import PasswordHash

__all__ = ["main"]


def main(arguments: Sequence[str]) -> int:
    """Ask for a password twice and print the line; return the exit code."""
    name = arguments[0].strip() if len(arguments) == 1 else ""
    if not name.isprintable() or name[:1] in ("", "-", "#"):
        print("usage: python -m aiodicom.cli.passwords NAME", file=sys.stderr)
        return 1
    password = getpass.getpass(f"Password of {name}: ")
    if password != getpass.getpass("Once more: "):
        print("error: these are two passwords; try again", file=sys.stderr)
        return 1
    print(f"{name}:{PasswordHash.of(password.encode())}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
