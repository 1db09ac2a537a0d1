"""What ``pip install aiodicom`` alone can do, in an environment with nothing else."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pydicom
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from pydicom.dataset import Dataset, FileMetaDataset

from aiodicom import __version__, storescp
from aiodicom.__main__ import COMMANDS
from tests.packaging.conftest import ROOT
from tests.packaging.environment import Environment
from tests.peer import CT
from tests.processes import PATIENCE, free_port, tries

_IMPORT_ALL = """
import importlib, json, pkgutil, sys, aiodicom
missing = {}
for each in pkgutil.walk_packages(aiodicom.__path__, "aiodicom.", onerror=lambda name: None):
    if not each.name.endswith("__main__"):
        try:
            importlib.import_module(each.name)
        except ImportError as error:
            missing[each.name] = error.name or str(error)
print(json.dumps([aiodicom.__file__, missing]))
"""

EXTRAS = {"--http": ("11113", "http"), "--otel": ("", "otel")}
"""Options that need one, and what they take."""


def test_the_script_and_the_modules(bare: Environment, tmp_path: Path) -> None:
    assert bare.run("aiodicom", "--version", cwd=tmp_path).stdout == f"aiodicom {__version__}\n"
    done = bare.run("python", "-m", "aiodicom.storescp", "--help", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("aiodicom storescp ")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(bare: Environment, command: str, tmp_path: Path) -> None:
    done = bare.run("aiodicom", command, "--help", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


def test_modules_need_nothing_but_dependencies_and_extras(
    bare: Environment, tmp_path: Path
) -> None:
    done = bare.run("python", "-c", _IMPORT_ALL, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    where, missing = json.loads(done.stdout)
    assert str(bare.bin.parent) in where
    wanted = {name.partition(".")[0] for name in missing.values()}
    assert wanted <= modules_of_extras(), missing


def modules_of_extras() -> set[str]:
    """What can be imported of the packages that extras name."""
    extras = [Requirement(each) for each in metadata.requires("aiodicom") or []]
    of_extras = [each.name for each in extras if each.marker and "extra" in str(each.marker)]
    names = set(map(canonicalize_name, of_extras))
    provided = metadata.packages_distributions()
    return {module for module, by in provided.items() if names & set(map(canonicalize_name, by))}


def test_an_option_without_its_extra_says_what_to_install(
    bare: Environment, tmp_path: Path
) -> None:
    known = {name for group in storescp.COMMAND.groups for o in group.options for name in o.names}
    for option in known & set(EXTRAS):
        value, extra = EXTRAS[option]
        words = (str(free_port()), option, *filter(None, (value,)))
        done = bare.run("python", "-m", "aiodicom.storescp", *words, cwd=tmp_path)
        assert done.returncode == 1
        assert f"aiodicom[{extra}]" in done.stderr
        assert "Traceback" not in done.stderr


def test_the_first_example_of_the_readme_stores_an_object(
    bare: Environment, tmp_path: Path
) -> None:
    example = re.search(r"```python\n(import aiodicom\n.*?)```", readme(), re.DOTALL)
    assert example
    assert "11112" in example[1]
    port = free_port()
    (tmp_path / "receiver.py").write_text(example[1].replace("11112", str(port)))
    write_object(tmp_path / "image.dcm")
    words = (str(bare.bin / "python"), "receiver.py")
    with subprocess.Popen(words, cwd=tmp_path, env=bare.variables) as receiver:
        try:
            for _ in tries("no receiver"):
                done = bare.run("aiodicom", "storescu", "127.0.0.1", str(port), "image.dcm",
                                cwd=tmp_path)  # fmt: skip
                if done.returncode == 0:
                    break
            receiver.send_signal(signal.SIGTERM)
            assert receiver.wait(PATIENCE) == 0
        finally:
            receiver.kill()
    stored = [path for path in (tmp_path / "received").iterdir() if path.name[0] != "."]
    assert [path.name for path in stored] == ["CT.1.2.3"]
    assert pydicom.dcmread(stored[0]).PatientID == "1"


def test_a_type_checker_sees_its_types(bare: Environment, tmp_path: Path) -> None:
    (tmp_path / "wrong.py").write_text("import aiodicom\naiodicom.serve(port='many')\n")
    python = str(bare.bin / "python")
    done = subprocess.run(
        (sys.executable, "-m", "mypy", "--python-executable", python, "--cache-dir=/dev/null",
         "--follow-imports=silent", "wrong.py"),
        capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path, env=bare.variables,
    )  # fmt: skip
    assert 'to "serve" has incompatible type "str"' in done.stdout


def readme() -> str:
    return (ROOT / "README.md").read_text(encoding="utf-8")


def write_object(path: Path) -> None:
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID, dataset.PatientID = CT, "1.2.3", "1"
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    dataset.save_as(path, enforce_file_format=True)
