from __future__ import annotations

import json
import sys
from dataclasses import asdict

from benchmarks.load.engine import perform
from benchmarks.load.order import Order

if __name__ == "__main__":
    json.dump(asdict(perform(Order(**json.load(sys.stdin)))), sys.stdout)
