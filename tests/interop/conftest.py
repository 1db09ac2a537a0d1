"""pynetdicom in the tests' own process."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest
from pynetdicom.transport import AssociationSocket


@pytest.fixture(autouse=True, scope="session")
def pynetdicom_closes_its_sockets() -> Iterator[None]:
    """Have it close a socket that its peer has reset, too.

    To shut such a socket down fails, which keeps pynetdicom 3.0 from closing it: it is left to the
    collection of garbage, whose warning then fails whichever test happens to run.
    """
    as_it_is = AssociationSocket._shutdown_socket

    def shut_and_close(self: AssociationSocket) -> None:
        sock = self.socket
        as_it_is(self)
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.close()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(AssociationSocket, "_shutdown_socket", shut_and_close)
        yield
