"""Which packages are there, in which version, and how to get those that are not."""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

from aiodicom.wire.identity import __version__

__all__ = ["DCMJS_SCRIPT", "HOW_TO_GET", "NODE_MODULES", "PIXELMED_JAR", "packages"]

_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")

NODE_MODULES = _CACHE / "aiodicom-bench" / "node" / "node_modules"
"""Where `make bench-peers` puts what comes from npm."""

PIXELMED_JAR = Path("/usr/share/java/pixelmed.jar")
"""Where Debian's package puts it."""

DCMJS_SCRIPT = Path(__file__).parent.parent / "peers" / "dcmjs_receiver.js"

HOW_TO_GET = {
    "DCMTK": "apt-get install dcmtk",
    "pynetdicom": "pip install 'aiodicom[dev]'",
    "Orthanc": "apt-get install orthanc (make bench-peers)",
    "dcmjs-dimse": "make bench-peers, with npm installed",
    "PixelMed": "apt-get install libpixelmed-java (make bench-peers)",
    "dicom-rs": "cargo install dicom-storescp",
}
"""Of each package that may be missing."""


@cache
def packages() -> dict[str, str]:
    """Return the versions of those packages that are there."""
    found = {
        "aiodicom": __version__,
        "pynetdicom": _of_python("pynetdicom"),
        # Others have a command of that name too.
        "DCMTK": _shown(["storescp", "--version"], r"\$dcmtk: storescp v(\S+)"),
        "Orthanc": _shown(["Orthanc", "--version"], r"Orthanc (\S+)"),
        "dcmjs-dimse": _of_node("dcmjs-dimse"),
        "PixelMed": _of_jar(PIXELMED_JAR),
        "dicom-rs": _shown(["dicom-storescp", "--version"], r"dicom-storescp (\S+)"),
    }
    return {name: version for name, version in found.items() if version}


def _of_python(name: str) -> str:
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        return importlib.metadata.version(name)
    return ""


def _shown(command: list[str], pattern: str) -> str:
    """Return what a command calls its version; empty where there is no such command."""
    if not shutil.which(command[0]):
        return ""
    shown = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    version = re.search(pattern, shown.stdout)
    return version[1] if version else ""


def _of_node(name: str) -> str:
    about = NODE_MODULES / name / "package.json"
    if not shutil.which("node") or not about.exists():
        return ""
    return str(json.loads(about.read_text(encoding="utf-8"))["version"])


def _of_jar(path: Path) -> str:
    """Return the version of a jar: Debian's link points to a name that tells it."""
    if not shutil.which("java") or not path.exists():
        return ""
    return path.resolve().stem.partition("-")[2] or "unknown"
