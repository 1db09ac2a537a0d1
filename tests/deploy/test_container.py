"""deploy/Containerfile, as far as it can be tried without images."""

from __future__ import annotations

import importlib
import re
import shlex
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from aiodicom.cli.options import Command
from tests.deploy.reading import (
    DEPLOY,
    ROOT,
    command_of,
    given,
    instructions,
    last_stage,
    words_of,
)
from tests.processes import PATIENCE, free_port, run, tries

KNOWN = {"ARG", "FROM", "WORKDIR", "COPY", "RUN", "LABEL", "ENV", "USER", "VOLUME", "EXPOSE",
         "STOPSIGNAL", "HEALTHCHECK", "ENTRYPOINT", "CMD"}  # fmt: skip


def test_instructions_are_known_ones() -> None:
    assert {name for name, _ in instructions()} <= KNOWN


def test_what_is_copied_is_there_and_not_ignored() -> None:
    allowed = (DEPLOY / "Containerfile.dockerignore").read_text().splitlines()
    assert allowed[0] == "*"
    for name, rest in instructions():
        if name == "COPY" and not rest.startswith("--from="):
            *sources, _ = rest.split()
            for source in sources:
                assert (ROOT / source).exists(), source
                assert f"!{source}" in allowed


def test_what_the_build_reads_is_copied() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    copied = " ".join(rest for name, rest in instructions() if name == "COPY").split()
    assert {project["readme"], *project["license-files"], "pyproject.toml", "aiodicom"} <= {*copied}


@pytest.mark.parametrize("script", [rest for name, rest in instructions() if name == "RUN"])
def test_a_script_is_one_that_a_shell_can_read(script: str) -> None:
    done = run(("sh", "-n", "-c", script))
    assert (done.returncode, done.stderr) == (0, "")


def test_the_build_installs_an_extra_that_there_is() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    asked = re.findall(r"'\.\[([^]]*)\]'", " ".join(rest for _, rest in instructions()))
    assert asked
    assert set(",".join(asked).split(",")) <= set(extras)


def test_it_does_not_run_as_root_and_owns_its_volume() -> None:
    scripts = " ".join(rest for name, rest in last_stage() if name == "RUN")
    user, _, group = given("USER").partition(":")
    assert user.isdecimal()
    assert int(user) > 0
    assert f"--uid {user}" in scripts
    assert f"--gid {group}" in scripts
    assert re.search(rf"install -d -o dicom -g dicom -m 0750 {re.escape(given('VOLUME'))}", scripts)


def test_command_options_and_port_are_ours() -> None:
    name, options = command_of([*words_of(given("ENTRYPOINT")), *words_of(given("CMD"))])
    command: Command = importlib.import_module(f"aiodicom.{name}").COMMAND
    settings = command.parse(options)
    assert str(settings["port"]) == given("EXPOSE")
    assert settings["folder"] == given("VOLUME")


def test_it_is_stopped_by_what_a_receiver_stops_by() -> None:
    assert signal.Signals[given("STOPSIGNAL")] == signal.SIGTERM


def test_the_health_check_asks_the_receiver(tmp_path: Path) -> None:
    options, _, asked = given("HEALTHCHECK").partition("CMD ")
    name, words = command_of(words_of(asked))
    within = float(re.findall(r"--timeout=(\d+)s", options)[0])
    command: Command = importlib.import_module(f"aiodicom.{name}").COMMAND
    settings = command.parse(words)
    assert (settings["peer"], settings["port"]) == ("127.0.0.1", int(given("EXPOSE")))
    assert all(0 < float(str(settings[t])) < within for t in ("connection", "association", "dimse"))
    port = str(free_port())
    check = [sys.executable, "-m", "aiodicom", name, *words[:-1], port]
    assert run(check).returncode == 1
    served = [sys.executable, "-m", "aiodicom", *words_of(given("CMD"))]
    served = [port if word == given("EXPOSE") else word for word in served]
    served = [str(tmp_path) if word == given("VOLUME") else word for word in served]
    with subprocess.Popen(served, stderr=subprocess.DEVNULL) as receiver:
        try:
            for _ in tries("never healthy"):
                if run(check).returncode == 0:
                    break
            receiver.send_signal(signal.SIGTERM)
            assert receiver.wait(PATIENCE) == 0
        finally:
            receiver.kill()


def test_the_build_stage_makes_what_the_image_runs() -> None:
    script = next(rest for name, rest in instructions() if name == "RUN")
    place = shlex.split(script)[3]
    assert f"--from=build {place} {place}" in [rest for n, rest in last_stage() if n == "COPY"]
    assert f"{place}/bin:" in given("ENV")
