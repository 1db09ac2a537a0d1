"""``python -m aiodicom.conformance [COMMAND [ITS OPTIONS...]]``."""

import sys

from aiodicom.conformance.command import conformance

if __name__ == "__main__":
    sys.exit(conformance())
