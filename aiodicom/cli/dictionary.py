"""DCMDICTPATH: data dictionaries in DCMTK's format, added to pydicom's.

A line is a tag, a VR, a name, and perhaps a VM and a version, with tabs between them. A tag is
``(gggg,eeee)``, or ``(gggg,"CREATOR",ee)`` where it is private; each number may be a range,
``6000-60FF``, of the even ones, or with ``-o-`` of the odd, with ``-u-`` of all.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

__all__ = ["VARIABLE", "load_dictionaries"]

VARIABLE = "DCMDICTPATH"

MOST_TAGS = 1 << 12
"""Tags that one line with ranges may stand for."""

SHOWN = 3
"""Bad lines of one file that are shown; one that is no dictionary has nothing else."""

_VRS = frozenset(
    "AE AS AT CS DA DS DT FD FL IS LO LT OB OD OF OL OV OW PN SH SL SQ SS ST SV TM UC UI UL UN UR "
    "US UT UV".split()
)
_AMBIGUOUS = {
    "ox": "OB or OW",
    "px": "OB or OW",
    "xs": "US or SS",
    "lt": "US or SS or OW",
    "up": "UL",
    "na": "NONE",
}
"""DCMTK's own letters, as pydicom writes them."""

_TAG = re.compile(r'\(([^,"]+),(?:"([^"]+)",)?([^,"]+)\)')
_NUMBERS = re.compile(r"([0-9A-F]{1,4})(?:-(?:([OU])-)?([0-9A-F]{1,4}))?")


@dataclass(frozen=True, slots=True)
class _Entry:
    creator: str | None
    groups: range
    elements: range
    vr: str
    name: str
    vm: str
    is_retired: bool


def load_dictionaries(environ: Mapping[str, str]) -> list[str]:
    """Add to pydicom's dictionaries what the files in ``DCMDICTPATH`` define.

    Entries replace those of the same tag, others stay: unlike DCMTK's, a file need not repeat the
    standard. pydicom is imported only if the variable is set. Blocking: before the event loop.

    Parameters
    ----------
    environ : mapping of str to str
        The environment; in the variable colons separate the files.

    Returns
    -------
    list of str
        What could not be read, and, where nothing could, that. It is never an error.
    """
    paths = [path for path in environ.get(VARIABLE, "").split(":") if path]
    warnings: list[str] = []
    is_any_loaded = not paths
    for path in paths:
        entries, problems = _read(path)
        _add(entries)
        is_any_loaded = is_any_loaded or bool(entries) or not problems
        warnings += (f"data dictionary {path}: {problem}" for problem in problems[:SHOWN])
        if len(problems) > SHOWN:
            warnings.append(
                f"data dictionary {path}: {len(problems) - SHOWN} more lines like these"
            )
    if not is_any_loaded:
        warnings.append(f"no data dictionary loaded: correct the environment variable {VARIABLE}")
    return warnings


def _read(path: str) -> tuple[list[_Entry], list[str]]:
    entries: list[_Entry] = []
    problems: list[str] = []
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            for number, line in enumerate(file, 1):
                if not line.strip() or line.lstrip().startswith("#"):
                    continue
                try:
                    entries += _entries(line)
                except ValueError as error:
                    problems.append(f"line {number} is ignored: {error}")
    except OSError as error:
        problems.append(f"{error.strerror or error}")
    return entries, problems


def _entries(line: str) -> Iterator[_Entry]:
    """Yield the entry of a line, or nothing where pydicom needs none."""
    fields = [field.strip() for field in line.split("\t")]
    if len(fields) < 3:
        raise ValueError("too few fields: a tag, a VR and a name, with tabs between them")
    tag, vr, name = fields[:3]
    vm, version = fields[3:5] if len(fields) > 4 else ((fields[3:] or ["1"])[0], "")
    found = _TAG.fullmatch(tag)
    if found is None:
        raise ValueError('no tag: (gggg,eeee), or (gggg,"CREATOR",ee) where it is private')
    if vr not in _VRS and vr not in _AMBIGUOUS:
        raise ValueError("its second field is no VR")
    if version in ("PRIVATE", "ILLEGAL", "GENERIC"):
        return  # creators and lengths of any group, which pydicom knows without a dictionary
    creator = found[2]
    groups, elements = _numbers(found[1]), _numbers(found[3])
    if any(bool(group % 2) != bool(creator) for group in groups):
        raise ValueError("odd groups are private and have a creator, even ones have none")
    if len(groups) * len(elements) > MOST_TAGS:
        raise ValueError(f"it is for more than {MOST_TAGS} tags: write narrower ranges")
    is_retired = "retired" in version.lower()
    yield _Entry(creator, groups, elements, vr, name, vm, is_retired)


def _numbers(text: str) -> range:
    """Return the numbers that a part of a tag stands for."""
    text = text.strip().upper()
    if text.endswith("XX"):
        text = f"{text[:-2]}00-{text[:-2]}FF"
    found = _NUMBERS.fullmatch(text)
    if found is None:
        raise ValueError("the numbers of its tag are not hexadecimal")
    first = int(found[1], 16)
    if found[3] is None:
        return range(first, first + 1)
    last = int(found[3], 16)
    if found[2] == "U":
        return range(first, last + 1)
    is_odd = found[2] == "O"
    return range(first if first % 2 == is_odd else first + 1, last + 1, 2)


def _add(entries: Iterable[_Entry]) -> None:
    from pydicom.datadict import add_dict_entries, add_private_dict_entries

    standard: dict[int, tuple[str, str, str, str, str]] = {}
    private: dict[str, dict[int, tuple[str, str, str, str]]] = {}
    for entry in entries:
        # The first tag of a repeating group comes last: the keyword stays with that one.
        for group in reversed(entry.groups):
            for element in reversed(entry.elements):
                tag = group << 16 | element
                if entry.creator is None:
                    standard[tag] = _standard(tag, entry)
                else:
                    described = (_AMBIGUOUS.get(entry.vr, entry.vr), entry.vm, entry.name, "")
                    private.setdefault(entry.creator, {})[tag] = described
    add_dict_entries(standard)
    for creator, described_tags in private.items():
        add_private_dict_entries(creator, described_tags)


def _standard(tag: int, entry: _Entry) -> tuple[str, str, str, str, str]:
    """Return an entry as pydicom has them, with what it knows better."""
    from pydicom.datadict import get_entry

    vr = _AMBIGUOUS.get(entry.vr, entry.vr)
    retired = "Retired" if entry.is_retired else ""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", entry.name)
    try:
        known_vr, _, known_words, known_retired, keyword = get_entry(tag)
    except KeyError:
        return vr, entry.vm, words, retired, entry.name
    if entry.vr in _AMBIGUOUS and " or " in known_vr:
        vr = known_vr
    if keyword == entry.name.removeprefix("RETIRED_"):
        return vr, entry.vm, known_words, known_retired, keyword
    return vr, entry.vm, words, retired, entry.name
