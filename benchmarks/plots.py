"""The results as pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

from matplotlib import pyplot as plt
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

from benchmarks.cells import Kind
from benchmarks.receivers.table import RECEIVERS
from benchmarks.results import CellResults, Results

__all__ = ["draw"]

# Okabe and Ito's colours, which colour-blind people can tell apart; markers tell the rest.
STYLES = {
    "ours": ("aiodicom", "#0072B2", "o", "-"),
    "ours-2": ("aiodicom, 2 workers", "#0072B2", "s", "--"),
    "dcmtk-fork": ("DCMTK --fork +B", "#D55E00", "^", "-"),
    "dcmtk": ("DCMTK", "#D55E00", "v", "--"),
    "pynetdicom": ("pynetdicom", "#009E73", "D", "-"),
    "orthanc": ("Orthanc", "#CC79A7", "P", "-"),
    "orthanc-unsynced": ("Orthanc, unsynced", "#CC79A7", "P", "--"),
    "dicom-rs": ("dicom-rs", "#E69F00", "X", "-"),
    "dcmjs": ("dcmjs-dimse", "#56B4E9", "<", "-"),
    "pixelmed": ("PixelMed", "#777777", ">", "-"),
    "null": ("null receiver", "#000000", "", ":"),
}
"""Of each receiver that is drawn: its short name, colour, marker and line."""

ONE_AT_A_TIME = {receiver.key for receiver in RECEIVERS if receiver.one_at_a_time}

DPI = 110


def draw(run: Results, folder: Path) -> list[str]:
    """Draw what a run has measured into PNG files.

    Parameters
    ----------
    run : Results
        What was measured.
    folder : Path
        Where they are put.

    Returns
    -------
    list of str
        The names of the files.
    """
    where = "" if run.filesystem == "tmpfs" else f"-{run.filesystem}"
    drawn = []
    sizes = _sizes(run)
    if sizes:
        names = (("throughput", "objects per second", "objects_per_second"),
                 ("p99", "p99 of an object, ms", "p99_ms"))  # fmt: skip
        for name, label, attribute in names:
            drawn.append(f"{name}{where}.png")
            _over_associations(run, sizes, label, attribute, folder / drawn[-1])
    idle = [each for each in run.cells.values() if each.cell.kind is Kind.IDLE and each.rounds]
    if idle:
        drawn.append(f"idle-memory{where}.png")
        _idle_memory(run, idle[0], folder / drawn[-1])
    return drawn


def _sizes(run: Results) -> list[int]:
    """Return the sizes that were measured on several numbers of associations."""
    counts: dict[int, set[int]] = {}
    for each in run.cells.values():
        if each.cell.kind is Kind.STORE:
            counts.setdefault(each.cell.size, set()).add(each.cell.associations)
    return sorted(size for size, found in counts.items() if len(found) > 1)


def _over_associations(
    run: Results, sizes: list[int], label: str, attribute: str, path: Path
) -> None:
    figure, panels = plt.subplots(
        1, len(sizes), figsize=(4.3 * len(sizes) + 0.6, 4.6), squeeze=False, layout="constrained"
    )
    for panel, size in zip(panels[0], sizes, strict=True):
        ticks = _one_size(panel, run, size, attribute)
        panel.set_title(f"{size // 1000} kB objects", fontsize=11)
        panel.set_xlabel("associations")
        panel.set_xscale("log", base=2)
        panel.set_yscale("log")
        panel.set_xticks(ticks, [str(tick) for tick in ticks])
        panel.xaxis.set_minor_locator(NullLocator())
        panel.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
        panel.yaxis.set_minor_formatter(NullFormatter())
        panel.grid(visible=True, which="major", color="#dddddd", linewidth=0.6)
        panel.spines[["top", "right"]].set_visible(False)
    panels[0][0].set_ylabel(label)
    handles, labels = _legend(panels[0])
    figure.legend(handles, labels, loc="outside lower center", ncols=6, frameon=False, fontsize=9)
    figure.savefig(path, dpi=DPI, bbox_inches="tight")
    plt.close(figure)


def _one_size(panel: Any, run: Results, size: int, attribute: str) -> list[int]:
    cells = sorted(
        (each.cell.associations, each.cell.key)
        for each in run.cells.values()
        if each.cell.kind is Kind.STORE and each.cell.size == size
    )
    for key, (name, colour, marker, line) in STYLES.items():
        found = [
            (count, getattr(measured, attribute))
            for count, cell in cells
            if (measured := run.median(cell, key))
        ]
        # The p99 of one who serves one association after the other leaves their waiting out.
        if found and not (key in ONE_AT_A_TIME and attribute == "p99_ms"):
            panel.plot(
                *zip(*found, strict=True), line, label=name, color=colour, marker=marker or None,
                markersize=5, linewidth=2 if key.startswith("ours") else 1.3,
            )  # fmt: skip
    return [count for count, _ in cells]


def _legend(panels: Any) -> tuple[list[Any], list[str]]:
    """Return each line once, in the order of `STYLES`."""
    found: dict[str, Any] = {}
    for panel in panels:
        for handle, label in zip(*panel.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    labels = [name for name, *_ in STYLES.values() if name in found]
    return [found[label] for label in labels], labels


def _idle_memory(run: Results, cell: CellResults, path: Path) -> None:
    bars = [
        (measured.idle_kb, STYLES[key][0], STYLES[key][1])
        for key in STYLES
        if (measured := run.median(cell.cell.key, key)) and measured.idle_kb > 0
    ]
    bars.sort(reverse=True)
    figure, panel = plt.subplots(figsize=(7, 0.5 * len(bars) + 1.2), layout="constrained")
    drawn = panel.barh(
        [name for _, name, _ in bars],
        [size for size, _, _ in bars],
        color=[colour for _, _, colour in bars],
    )
    panel.bar_label(drawn, [f" {size:,.1f} kB" for size, _, _ in bars])
    panel.set_xlim(right=max(size for size, _, _ in bars) * 1.15)
    panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    panel.set_xlabel(f"kB for each of {cell.cell.idle:,} idle associations")
    panel.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=DPI, bbox_inches="tight")
    plt.close(figure)
