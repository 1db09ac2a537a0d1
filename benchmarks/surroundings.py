"""What the results depend on; nothing that tells whose machine it is."""

from __future__ import annotations

import os
import platform
import sysconfig
from pathlib import Path

from benchmarks.receivers.packages import packages

__all__ = ["filesystem_of", "machine_line", "surroundings"]


def surroundings(folder: str, rounds: int, seconds: float) -> dict[str, object]:
    """Return the machine, the versions and how it was measured."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "cpu": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(pages / 2**30),
        "kernel": ".".join(platform.release().split("-")[0].split(".")[:2]),
        "python": platform.python_version(),
        "python_build": _python_build(),
        "versions": packages(),
        "filesystem": filesystem_of(folder),
        "rounds": rounds,
        "seconds": seconds,
    }


def machine_line(around: dict[str, object]) -> str:
    """Return one paragraph about the surroundings."""
    versions = around["versions"]
    assert isinstance(versions, dict)
    packages = ", ".join(f"{name} {version}" for name, version in versions.items())
    return (
        f"{around['cpu']}, {around['cores']} cores, {around['memory_gb']} GB, Linux "
        f"{around['kernel']}; Python {around['python']} ({around['python_build']}), {packages}; "
        f"storing to {around['filesystem']}; rounds: {around['rounds']} of about "
        f"{around['seconds']} s."
    )


def filesystem_of(folder: str) -> str:
    """Return the type of the filesystem that `folder` is on."""
    path = Path(folder).resolve()
    mounts = [line.split() for line in Path("/proc/mounts").read_text("utf-8").splitlines()]
    around = [mount for mount in mounts if path.is_relative_to(mount[1])]
    # Of several mounts in one place, the last one is seen.
    return max(reversed(around), key=lambda mount: len(mount[1]))[2] if around else "unknown"


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _python_build() -> str:
    """Tell whether the interpreter was configured for profile-guided optimisation."""
    options = str(sysconfig.get_config_var("CONFIG_ARGS") or "")
    switch = "--enable-optimizations"
    return f"configured {'with' if switch in options else 'without'} {switch}"
