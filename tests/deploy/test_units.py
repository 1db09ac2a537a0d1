"""The systemd units in deploy/: systemd reads them, and a service manager can run what they say."""

from __future__ import annotations

import inspect
import re
import shutil
import sys
from pathlib import Path

import pytest

from aiodicom import storescp
from aiodicom.cli.actions import Actions
from aiodicom.limits import Limits
from aiodicom.workers.parent import MORE_GRACE
from tests.deploy.reading import DEPLOY, ROOT, command_of, exec_start, unit
from tests.processes import PATIENCE, run, run_command
from tests.supervisor import supervising

UNITS = ("aiodicom.service", "aiodicom.socket")

MOST_EXPOSED = 1.5
"""`systemd-analyze security` of systemd 252; 10 is a service without any of its settings."""


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """The units, with a Python that is here."""
    for name in UNITS:
        text = (DEPLOY / name).read_text()
        (tmp_path / name).write_text(text.replace(exec_start()[0], sys.executable))
    return tmp_path


@pytest.mark.systemd
@pytest.mark.parametrize("name", UNITS)
def test_systemd_has_nothing_to_say_of_a_unit(units: Path, name: str) -> None:
    done = run(("systemd-analyze", "verify", "--man=no", str(units / name)))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.systemd
def test_systemd_does_notice_a_setting_that_there_is_not(units: Path) -> None:
    path = units / "aiodicom.service"
    path.write_text(path.read_text().replace("ProtectHome=", "ProtectHomes="))
    done = run(("systemd-analyze", "verify", "--man=no", str(path)))
    assert "ProtectHomes" in done.stderr


@pytest.mark.systemd
def test_the_service_is_hardly_exposed(units: Path) -> None:
    path = str(units / "aiodicom.service")
    done = run(("systemd-analyze", "security", "--offline=true", "--no-pager", path))
    found = re.search(r"exposure level for aiodicom\.service: ([0-9.]+)", done.stdout)
    assert found, done.stdout + done.stderr
    assert float(found[1]) <= MOST_EXPOSED


@pytest.mark.systemd
def test_the_user_is_made_by_sysusers(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    command = (shutil.which("systemd-sysusers") or "systemd-sysusers", f"--root={tmp_path}")
    done = run((*command, str(DEPLOY / "aiodicom.sysusers")))
    assert done.returncode == 0, done.stderr
    users = (tmp_path / "etc/passwd").read_text()
    assert users.startswith(unit("aiodicom.service")["User"][0] + ":")


def test_the_command_line_is_one_of_ours_and_leaves_the_port_to_the_socket(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("aiodicom.systemd.has_sockets", lambda: True)
    name, options = command_of(exec_start())
    assert name == "storescp"
    settings = storescp.COMMAND.parse(options)
    assert settings["port"] is None
    assert settings["folder"] == f"/var/lib/{unit('aiodicom.service')['StateDirectory'][0]}"


def test_it_has_the_time_that_a_stop_takes() -> None:
    settings = storescp.COMMAND.parse(["104", *command_of(exec_start())[1]])
    commands_have = inspect.signature(Actions).parameters["patience"].default
    needed = float(str(settings["grace"])) + 1 + MORE_GRACE + commands_have
    assert float(unit("aiodicom.service")["TimeoutStopSec"][0]) > needed


def test_it_may_open_as_many_files_as_there_may_be_connections() -> None:
    assert int(unit("aiodicom.service")["LimitNOFILE"][0]) > 2 * Limits().connections


def test_it_may_write_below_its_folder_alone() -> None:
    service = unit("aiodicom.service")
    assert service["ProtectSystem"] == ["strict"]
    assert "ReadWritePaths" not in service
    assert service["CapabilityBoundingSet"] == service["AmbientCapabilities"] == [""]
    assert "root" not in service["User"]


def test_what_the_service_says_runs(tmp_path: Path) -> None:
    name, options = command_of(exec_start())
    folder = tmp_path / "objects"
    options = [str(folder) if word.startswith("/var/lib/") else word for word in options]
    with supervising(tmp_path) as supervisor:
        process = supervisor.start(name, *options, environ={"WATCHDOG_USEC": "300000"})
        supervisor.wait_told("READY=1")
        supervisor.wait_told("WATCHDOG=1")
        assert run_command("echoscu", "127.0.0.1", str(supervisor.port)).returncode == 0
        assert folder.is_dir()
        process.terminate()
        supervisor.wait_told("STOPPING=1")
        assert process.wait(PATIENCE) == 0


def test_the_page_on_operating_shows_the_units() -> None:
    page = (ROOT / "docs/operating.md").read_text(encoding="utf-8")
    for name in UNITS:
        assert f"```ini\n# deploy/{name}\n{(DEPLOY / name).read_text()}```" in page
