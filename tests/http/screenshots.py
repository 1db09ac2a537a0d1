"""``python -m tests.http.screenshots [FOLDER]``: pictures of the live page, busy and idle.

Two of them are in docs/images, with a palette of 96 colours and the phone's cut off.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from tests.http.browser import CHROMIUM
from tests.http.load import Modality, rejected, sending
from tests.peer import association_request, ct_dataset, store_pdus
from tests.processes import Sender, free_port, receiving

ROOM = 90.0
"""Seconds of sending before the picture of it."""

CLASSES = {
    "CT": "1.2.840.10008.5.1.4.1.1.2",
    "MR": "1.2.840.10008.5.1.4.1.1.4",
    "US": "1.2.840.10008.5.1.4.1.1.6.1",
    "MG": "1.2.840.10008.5.1.4.1.1.1.2",
    "DX": "1.2.840.10008.5.1.4.1.1.1.1",
    "SR": "1.2.840.10008.5.1.4.1.1.88.33",
}

BUSY = (
    Modality("CT_EMERGENCY", CLASSES["CT"], 525_000, 0.025),
    Modality("CT_2", CLASSES["CT"], 525_000, 0.05),
    Modality("MR_AVANTO", CLASSES["MR"], 131_000, 0.02),
    Modality("MR_PRISMA", CLASSES["MR"], 295_000, 0.035),
    Modality("MAMMO_1", CLASSES["MG"], 8_000_000, 0.9),
    Modality("US_ROOM_4", CLASSES["US"], 920_000, 0.3),
    Modality("DX_WARD", CLASSES["DX"], 5_000_000, 1.4),
    Modality("REPORTS", CLASSES["SR"], 12_000, 0.4),
)

ACCESS = tuple(word for each in BUSY for word in ("--require-calling-aet", each.title))

LOOKS = (
    ("light", "light", 1180, 2),
    ("dark", "dark", 1180, 1),
    ("phone", "light", 360, 2),
    ("phone-dark", "dark", 360, 1),
)


def shoot(browser: Browser, port: int, folder: Path, name: str) -> None:
    """Take pictures of the page, in several looks."""
    for look, scheme, width, scale in LOOKS:
        context = browser.new_context(
            viewport={"width": width, "height": 700},
            color_scheme="dark" if scheme == "dark" else "light",
            device_scale_factor=scale,
        )
        page = context.new_page()
        page.goto(f"http://127.0.0.1:{port}/")
        page.locator("#state[data-is=good]").wait_for()
        page.wait_for_timeout(1200)
        page.screenshot(path=folder / f"{name}-{look}.png", full_page=True)
        context.close()


def main(folder: Path, seconds: float) -> None:
    """Take them all."""
    port, scratch = free_port(), Path(tempfile.mkdtemp())
    options = ("--http", str(port), "-aet", "ARCHIVE", "--workers", "2", *ACCESS)
    with sync_playwright() as playwright, receiving("storescp", *options, folder=scratch) as server:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        shoot(browser, port, folder, "idle")
        with sending(server.port, BUSY[:4]):
            time.sleep(seconds / 3)
            fail(server.port)
        time.sleep(seconds / 10)
        with sending(server.port, BUSY):
            time.sleep(seconds / 2)
            for _ in range(3):
                fail(server.port)
            shoot(browser, port, folder, "busy")
        browser.close()


def fail(port: int) -> None:
    """Do what goes wrong: who is not known, what does not fit, and who goes in the middle."""
    rejected(port, "UNKNOWN_CT")
    with Sender(port) as sender:
        sender.send(association_request(calling="CT_2", called="ARCHIVE"))
        sender.receive()
        sender.send(store_pdus("2.25.1", ct_dataset("2.25.2")))
        sender.status()
        sender.send(BUSY[0].object()[:5000])


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]) if len(sys.argv) > 2 else ROOM)
