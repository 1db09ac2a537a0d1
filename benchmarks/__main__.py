"""``python -m benchmarks``: receivers side by side, as tables and plots."""

from __future__ import annotations

import sys

from benchmarks.commands import main

if __name__ == "__main__":
    sys.exit(main())
