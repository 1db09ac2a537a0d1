"""An exception knows its wire answer."""

from __future__ import annotations

import pytest

import aiodicom
from aiodicom.errors import AbortReason


def test_all_of_them_are_dicom_errors() -> None:
    for error in (
        aiodicom.AssociationClosed,
        aiodicom.AssociationRejected,
        aiodicom.ProtocolError,
        aiodicom.Refused,
    ):
        assert issubclass(error, aiodicom.DicomError)


def test_an_association_that_ended_was_aborted_or_lost() -> None:
    assert issubclass(aiodicom.AssociationAborted, aiodicom.AssociationClosed)
    assert issubclass(aiodicom.AssociationLost, aiodicom.AssociationClosed)


def test_none_is_an_operating_system_s_error() -> None:
    """A handler's OSError is 0xA700; an association that ends is something else."""
    assert not issubclass(aiodicom.DicomError, OSError)


def test_a_protocol_error_is_an_abort() -> None:
    assert aiodicom.ProtocolError("what it did").reason is AbortReason.INVALID_PARAMETER_VALUE
    error = aiodicom.ProtocolError("what it did", AbortReason.UNRECOGNIZED_PDU)
    assert (str(error), error.reason) == ("what it did", 1)


def test_a_rejection_is_permanent_and_gives_no_reason_by_default() -> None:
    error = aiodicom.AssociationRejected()
    assert (error.result, error.source, error.reason) == (1, 1, 1)


@pytest.mark.parametrize("numbers", [(256, 1, 1), (1, -1, 1), (1, 1, 1000)])
def test_a_rejection_with_what_is_no_byte(numbers: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="0 to 255"):
        aiodicom.AssociationRejected("", *numbers)


def test_a_refusal_is_a_status_and_a_comment() -> None:
    error = aiodicom.Refused(aiodicom.Status.OUT_OF_RESOURCES, "quota exceeded", (0x00100010,))
    assert (error.status, error.comment, error.offending) == (
        0xA700,
        "quota exceeded",
        (0x00100010,),
    )
    assert str(error) == "0xA700 quota exceeded"
    assert str(aiodicom.Refused(0xC000)) == "0xC000"


@pytest.mark.parametrize("status", [-1, 0x10000])
def test_a_refusal_with_what_is_no_status(status: int) -> None:
    with pytest.raises(ValueError, match="no status"):
        aiodicom.Refused(status)


def test_an_abort_says_by_whom_and_why() -> None:
    error = aiodicom.AssociationAborted(2, 6)
    assert (error.source, error.reason) == (2, 6)
    assert str(error) == "aborted by the peer (source 2, reason 6)"
