"""The exceptions, each with its answer on the wire.

::

    DicomError
    ├── ProtocolError          the peer broke PS3.7 or PS3.8: A-ABORT
    ├── AssociationRejected    A-ASSOCIATE-RJ
    ├── Refused                the Status and Error Comment of a response
    ├── AbortAssociation       raised by a handler: A-ABORT
    ├── NotSent                an object was not sent, and why
    └── AssociationClosed      seen by a handler or a client
        ├── AssociationAborted   the peer's A-ABORT
        └── AssociationLost      the connection is gone, or a deadline passed
"""

from __future__ import annotations

import enum

__all__ = [
    "AbortAssociation",
    "AbortReason",
    "AssociationAborted",
    "AssociationClosed",
    "AssociationLost",
    "AssociationRejected",
    "DicomError",
    "NotSent",
    "ProtocolError",
    "Refused",
]


class AbortReason(enum.IntEnum):
    """Reason of an A-ABORT whose source is the service-provider (PS3.8 table 9-26)."""

    NOT_SPECIFIED = 0
    UNRECOGNIZED_PDU = 1
    UNEXPECTED_PDU = 2
    UNRECOGNIZED_PARAMETER = 4
    UNEXPECTED_PARAMETER = 5
    INVALID_PARAMETER_VALUE = 6


class DicomError(Exception):
    """The base of all errors of this package."""


class ProtocolError(DicomError):
    """The peer broke PS3.7 or PS3.8, and the association is aborted.

    Parameters
    ----------
    message : str
        What the peer did, for the log.
    reason : AbortReason
        What the A-ABORT says where its source is the provider (PS3.8 9.3.8).
    """

    def __init__(
        self, message: str, reason: AbortReason = AbortReason.INVALID_PARAMETER_VALUE
    ) -> None:
        super().__init__(message)
        self.reason = reason


class AssociationRejected(DicomError):
    """An association is not accepted: A-ASSOCIATE-RJ (PS3.8 9.3.4).

    Raised by access checks and by `authorize` hooks; its three numbers are what the
    requestor is told.

    Parameters
    ----------
    message : str
        Why, for the log; it does not travel.
    result : int
        1 rejected-permanent, 2 rejected-transient.
    source : int
        1 service-user, 2 service-provider (ACSE), 3 service-provider (presentation).
    reason : int
        See PS3.8 table 9-21. (1, 1, 1) gives no reason.

    Raises
    ------
    ValueError
        Where one of the three is no byte.
    """

    def __init__(
        self, message: str = "rejected", result: int = 1, source: int = 1, reason: int = 1
    ) -> None:
        for number in (result, source, reason):
            if not 0 <= number <= 255:
                raise ValueError(f"{number} does not fit an A-ASSOCIATE-RJ: 0 to 255")
        super().__init__(message)
        self.result = result
        self.source = source
        self.reason = reason


class Refused(DicomError):
    """Raised by a handler to answer a request with a status other than success.

    Parameters
    ----------
    status : int
        The response's Status (0000,0900), PS3.7 annex C and PS3.4 B.2.3.
    comment : str
        The response's Error Comment (0000,0902). At most 64 characters are sent. It goes to
        the peer: no path, no patient data.
    offending : tuple of int
        Tags for the response's Offending Element (0000,0901).

    Raises
    ------
    ValueError
        Where `status` is not one: 0 to 0xFFFF.
    """

    def __init__(self, status: int, comment: str = "", offending: tuple[int, ...] = ()) -> None:
        if not 0 <= status <= 0xFFFF:
            raise ValueError(f"{status} is no status: 0 to 0xFFFF")
        super().__init__(f"0x{status:04X} {comment}".rstrip())
        self.status = int(status)
        self.comment = comment
        self.offending = offending


class NotSent(DicomError):
    """An object was not sent: it is none, cannot be read, or nothing agreed on fits it."""


class AbortAssociation(DicomError):
    """Raised by a handler to end the association: A-ABORT of the service-user (PS3.8 9.3.8).

    The request is not answered, and the peer is not told why: the message goes to the log.
    """


class AssociationClosed(DicomError):
    """The association ended while something was still wanted of it."""


class AssociationAborted(AssociationClosed):
    """The peer sent A-ABORT (PS3.8 9.3.8).

    Parameters
    ----------
    source : int
        0 service-user, 2 service-provider.
    reason : int
        An `AbortReason` where the source is the provider.
    """

    def __init__(self, source: int, reason: int) -> None:
        super().__init__(f"aborted by the peer (source {source}, reason {reason})")
        self.source = source
        self.reason = reason


class AssociationLost(AssociationClosed):
    """The connection is gone, or a deadline passed."""
