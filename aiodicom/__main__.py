"""``python -m aiodicom COMMAND ...``: run one of the commands."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

from aiodicom.wire.identity import __version__

__all__ = ["COMMANDS", "aiodicom"]

COMMANDS = {
    "storescp": "receive objects and store them",
    "dcmrecv": "receive objects and store them, the simple way",
    "echoscp": "answer C-ECHO",
    "storescu": "send objects",
    "echoscu": "send C-ECHO",
    "conformance": "write the DICOM Conformance Statement of one of these",
}


def aiodicom(arguments: Sequence[str] | None = None) -> int:
    """Run the command that the first argument names; return its exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if not arguments or arguments[0] in ("-h", "--help"):
        print("usage: python -m aiodicom COMMAND [options] ...\n")
        for name, summary in COMMANDS.items():
            print(f"  {name:<11} {summary}")
        return 0
    if arguments[0] == "--version":
        print(f"aiodicom {__version__}")
        return 0
    name, *rest = arguments
    if name not in COMMANDS:
        print(f"error: no command {name}; one of {', '.join(COMMANDS)}", file=sys.stderr)
        return 1
    result: int = getattr(importlib.import_module(f"aiodicom.{name}"), name)(rest)
    return result


if __name__ == "__main__":
    sys.exit(aiodicom())
