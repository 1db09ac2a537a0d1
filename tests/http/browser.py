"""Where the browser is that the live page is tested in."""

from __future__ import annotations

import shutil

__all__ = ["CHROMIUM"]

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or "/usr/bin/chromium"
