"""For the tests of programs that receive or send DICOM.

``server`` and ``ServerThread`` serve on a free port of the loopback, ``Collector`` is a handler
that keeps what comes, ``objects`` makes datasets that are nobody's, ``ScriptedPeer`` and
``accepting`` are peers that misbehave on request, and ``dicom_server`` is a fixture of pytest's.

What is named here is imported when it is first used: pytest for ``dicom_server`` alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiodicom.first_use import imported_at_first_use

if TYPE_CHECKING:
    from aiodicom.testing import messages, misdeeds, objects, scripts
    from aiodicom.testing.acceptor import ScriptedAcceptor, accepting
    from aiodicom.testing.collector import CollectedObject, Collector
    from aiodicom.testing.fixtures import dicom_server
    from aiodicom.testing.misdeeds import MISDEEDS
    from aiodicom.testing.peer import ReceivedRequest, ScriptedPeer
    from aiodicom.testing.servers import ServerThread, in_thread, server

__all__ = [
    "CollectedObject",
    "Collector",
    "MISDEEDS",
    "ReceivedRequest",
    "ScriptedAcceptor",
    "ScriptedPeer",
    "ServerThread",
    "accepting",
    "dicom_server",
    "in_thread",
    "messages",
    "misdeeds",
    "objects",
    "scripts",
    "server",
]

if not TYPE_CHECKING:  # a checker would believe that there is whatever anybody writes
    __getattr__, __dir__ = imported_at_first_use(
        __name__,
        {
            "acceptor": "ScriptedAcceptor accepting",
            "collector": "CollectedObject Collector",
            "fixtures": "dicom_server",
            "misdeeds": "MISDEEDS",
            "peer": "ReceivedRequest ScriptedPeer",
            "servers": "ServerThread in_thread server",
        },
        modules="messages misdeeds objects scripts",
    )
