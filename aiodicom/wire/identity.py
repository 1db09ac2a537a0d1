"""Who we are on the wire: one implementation class UID and version name for all of it.

PS3.7 D.3.3.2. The UID is of the `2.25.` kind (PS3.5 B.2), which is free for anyone.
"""

from __future__ import annotations

__all__ = ["IMPLEMENTATION_CLASS_UID", "IMPLEMENTATION_VERSION_NAME", "__version__"]

__version__ = "0.1.0"

IMPLEMENTATION_CLASS_UID = "2.25.40532178611438298333020178471371748308"

# SH: at most 16 characters.
IMPLEMENTATION_VERSION_NAME = "AIODICOM_" + __version__.replace(".", "_")
