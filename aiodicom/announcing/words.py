"""What a peer has chosen, as words of a command and variables of its environment."""

from __future__ import annotations

import re

from aiodicom.announcing.templates import VARIABLES, Template
from aiodicom.storage.stored import StoredObject

__all__ = ["command_line", "safe"]

_UNSAFE = re.compile(r"[^A-Za-z0-9 .:@_-]|^-")


def safe(text: str) -> str:
    """Return a peer's text without anything that a shell or a program could take for its own."""
    return _UNSAFE.sub("_", text)


def command_line(
    template: Template, last: StoredObject, peer: str
) -> tuple[list[str], dict[str, str]]:
    """Return what is executed for an object, and the variables that it finds.

    Parameters
    ----------
    template : Template
        The command.
    last : StoredObject
        The object; of a study, the one that was stored last.
    peer : str
        The name of the peer's host, or its address.
    """
    calling, called = safe(last.calling_ae_title), safe(last.called_ae_title)
    values = {"p": last.folder, "f": last.name, "a": calling, "c": called, "r": peer}
    variables = {VARIABLES[letter]: values[letter] for letter in template.letters}
    variables["AIODICOM_CALLING_AET"] = last.calling_ae_title.replace("\0", "")
    variables["AIODICOM_CALLED_AET"] = last.called_ae_title.replace("\0", "")
    return template.arguments(values), variables
