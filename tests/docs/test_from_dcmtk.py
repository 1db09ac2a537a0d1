"""What the page for those who come from DCMTK says of options, asked of DCMTK itself."""

from __future__ import annotations

import importlib
import re
import shutil

import pytest

from aiodicom.cli.options import Command
from tests.processes import run

LATER = {
    "storescp": "-i4 --ipv4 -i6 --ipv6 -i0 --ip-auto --max-associations",
    "dcmrecv": "-i4 --ipv4 -i6 --ipv6 -i0 --ip-auto -uca --use-called-aetitle",
    "storescu": "-i4 --ipv4 -i6 --ipv6 -i0 --ip-auto --no-sni --request-sni",
    "echoscu": "-i4 --ipv4 -i6 --ipv6 -i0 --ip-auto --no-sni --request-sni",
}
"""Those that came between 3.6.7 and 3.7.0."""


@pytest.mark.dcmtk
@pytest.mark.parametrize("name", LATER)
def test_every_option_of_dcmtk_s_command_is_understood(name: str) -> None:
    program = shutil.which(name, path="/usr/local/bin:/usr/bin")
    assert program is not None
    lines = run((program, "--help")).stdout.splitlines()
    found = [re.match(r"\s{2,8}([-+][\w=]+)?\s+(--[\w-]+)?", line) for line in lines]
    theirs = {word for each in found if each for word in each.groups() if word}
    assert len(theirs) > 60
    command: Command = importlib.import_module(f"aiodicom.{name}").COMMAND
    ours = {word for group in command.groups for option in group.options for word in option.names}
    assert theirs <= ours
    assert set(LATER[name].split()) <= ours
