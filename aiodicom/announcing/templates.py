"""Commands with places for values, as people write them: ``-xcr "mv #p/#f /archive"``.

What a peer has chosen is data: it becomes a word of the command's, or a variable in the shell's
text, and never a part of what a shell reads.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["VARIABLES", "Template", "reception_command", "study_command"]

SHELL = "/bin/sh"

VARIABLES = {
    "p": "AIODICOM_PATH",
    "f": "AIODICOM_FILE",
    "a": "AIODICOM_SAFE_CALLING_AET",
    "c": "AIODICOM_SAFE_CALLED_AET",
    "r": "AIODICOM_PEER",
}
_PLACEHOLDER = re.compile("#([pfacr])")
_SPECIAL = frozenset("|&;<>$`*?[]{}~!=\n")


@dataclass(frozen=True, slots=True)
class Template:
    """A command, as it was asked for, with places for values.

    Parameters
    ----------
    name : str
        Its first word.
    words : tuple of str
        Its words, where no shell is needed; else empty.
    script : str
        What the shell is given, where one is: the values are variables there.
    letters : str
        The placeholders that stand for values.
    """

    name: str
    words: tuple[str, ...]
    script: str
    letters: str

    def arguments(self, values: Mapping[str, str]) -> list[str]:
        """Return what is executed; `values` are by placeholder."""
        if not self.words:
            return [SHELL, "-c", self.script, self.name]

        def value(match: re.Match[str]) -> str:
            return values[match[1]] if match[1] in self.letters else match[0]

        return [_PLACEHOLDER.sub(value, word) for word in self.words]


def reception_command(text: str) -> Template:
    """Read the command for every object, with ``#p #f #a #c #r``.

    Raises
    ------
    ValueError
        Where it cannot be run as it is; says why, and what would be right.
    """
    return _template(text, "pfacr")


def study_command(text: str) -> Template:
    """Read the command for every study, with ``#p #a #c #r``; see `reception_command`."""
    return _template(text, "pacr")


def _template(text: str, letters: str) -> Template:
    scanner = _Scanner(text, letters)
    script = scanner.scan()
    try:
        words = shlex.split(text)
    except ValueError:
        words = text.split()  # the shell has more to say about it
    if not words:
        raise ValueError("there is no command: give one")
    if re.search(f"#[{letters}]", words[0]) and not re.match(r"\w+=", words[0]):
        raise ValueError(f"{words[0]!r}: a value cannot be the command; name a program first")
    if "\0" in text:
        raise ValueError("a command cannot have a NUL in it: leave it out")
    if not scanner.needs_shell and shutil.which(words[0]):
        return Template(words[0], tuple(words), "", letters)
    checked = subprocess.run(
        [SHELL, "-n", "-c", script], stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    if checked.returncode:
        reason = checked.stderr.decode(errors="replace").strip().rpartition(": ")[2]
        raise ValueError(f"{text!r} is no command for {SHELL}: {reason}; put it into a script")
    return Template(words[0], (), script, letters)


class _Scanner:
    """Puts variables into the places for values, as the quotes around them ask for."""

    def __init__(self, text: str, letters: str) -> None:
        self.needs_shell = False
        self._text = text
        self._letters = letters
        self._at = 0
        self._open: list[str] = []  # what ends the quotes and parentheses that we are in
        self._script: list[str] = []

    def scan(self) -> str:
        """Return the script."""
        while self._at < len(self._text):
            if self._text.startswith("'", self._at) and not self._is_quoted:
                self._single_quoted()
            elif _PLACEHOLDER.match(self._text, self._at):
                self._script.append(self._reference('"' * (not self._is_quoted)))
                self._at += 2
            else:
                self._plain(self._text[self._at])
        if self._open:
            raise ValueError(f"{self._text!r}: a {self._open[-1]} is missing; add it")
        return "".join(self._script)

    @property
    def _is_quoted(self) -> bool:
        return self._open[-1:] == ['"']

    def _reference(self, quote: str) -> str:
        letter = self._text[self._at + 1]
        if letter not in self._letters:  # stays as it is, and begins no comment
            return f"\\#{letter}" if quote else f"#{letter}"
        return f"{quote}${{{VARIABLES[letter]}}}{quote}"

    def _single_quoted(self) -> None:
        end = self._text.find("'", self._at + 1)
        if end < 0:
            raise ValueError(f"{self._text!r}: a ' is missing; add it")
        quoted = self._text[self._at : end + 1]
        for letter in self._letters:  # out of the quotes, and in again
            quoted = quoted.replace(f"#{letter}", f"'\"${{{VARIABLES[letter]}}}\"'")
        self._take(quoted, end + 1)

    def _plain(self, character: str) -> None:
        after = self._text[self._at + 1 : self._at + 2]
        if character == "\\":
            self.needs_shell = True
            self._take(character + after, self._at + 2)
        elif character == "`":
            self._opaque("`", "write $( )")
        elif character + after == "${":
            self._opaque("}", "write it outside")
        elif character + after == "$(":
            self.needs_shell = True
            self._open.append(")")
            self._take("$(", self._at + 2)
        elif character == '"':
            self._open.pop() if self._is_quoted else self._open.append('"')
            self._take(character, self._at + 1)
        else:
            if not self._is_quoted:
                self._unquoted(character, after)
            self.needs_shell |= character == "$"
            self._take(character, self._at + 1)

    def _unquoted(self, character: str, after: str) -> None:
        if character == "(":
            self._open.append(")")
        elif character == ")" and self._open:
            self._open.pop()
        elif character + after == "<<":
            raise ValueError(f"{self._text!r}: a here-document; put it into a script")
        elif character == "#" and self._text[self._at - 1 : self._at] in ("", " ", "\t", "\n"):
            raise ValueError(f"{self._text!r}: a comment; leave it out, or quote the #")
        self.needs_shell |= character in _SPECIAL or character in "()"

    def _opaque(self, end: str, remedy: str) -> None:
        """Take what is not looked into, and can therefore hold no value."""
        self.needs_shell = True
        closing = self._text.find(end, self._at + 1)
        inside = self._text[self._at : closing + 1]
        if closing < 0 or _PLACEHOLDER.search(inside):
            problem = f"a {end} is missing; add it" if closing < 0 else f"{inside}: {remedy}"
            raise ValueError(f"{self._text!r}: {problem}")
        self._take(inside, closing + 1)

    def _take(self, text: str, at: int) -> None:
        self._script.append(text)
        self._at = at
