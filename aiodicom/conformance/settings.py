"""Configuration: chapter 6 of the template."""

from __future__ import annotations

from collections.abc import Iterator

from aiodicom.conformance.configurations import Acceptor, Requestor
from aiodicom.conformance.markdown import Section, table
from aiodicom.conformance.wording import NONE, length, number, port, seconds, window

__all__ = ["configuration"]

Row = tuple[object, ...]


def configuration(of: Acceptor | Requestor) -> Iterator[Section]:
    """Return chapter 6."""
    rows = _of_acceptor(of) if isinstance(of, Acceptor) else _of_requestor(of)
    yield Section(
        "6",
        "Configuration",
        f"All of it is the command line of `{of.command}`, and the files that this names.",
    )
    yield Section("6.1", "General Configuration Parameters", table(_HEAD, [*rows, *_timeouts(of)]))
    yield Section("6.2", "Configuration of DIMSE Services", _of_services(of))
    yield Section("6.3", "Configuration of DICOM Web Services", NONE)
    yield Section("6.4", "Configuration of Media Storage Services", NONE)
    yield Section("6.5", "Configuration of Real-Time Video Services", NONE)
    yield Section("6.6", "Configuration of Audit Trail", NONE)


_HEAD = ("parameter", "value", "option")


def _of_acceptor(of: Acceptor) -> Iterator[Row]:
    yield ("AE title", of.ae_title, "`-aet`")
    yield ("TCP port", port(of), "the first parameter")
    yield ("maximum length of a PDU that is received", length(of.policy.maximum_length), "`-pdu`")
    yield ("processes", of.workers, "`--workers`")
    limits = of.limits
    for what, value, option in (
        ("associations at a time", limits.associations, "`--max-associations`"),
        ("of one address", limits.associations_per_address, "`--max-associations-per-address`"),
        (
            "of one calling AE title",
            limits.associations_per_title,
            "`--max-associations-per-title`",
        ),
        ("connections at a time", limits.connections, "`--max-connections`"),
        ("of one address", limits.connections_per_address, "`--max-connections-per-address`"),
        ("bytes of an A-ASSOCIATE-RQ", limits.request_bytes, "`--max-request`"),
        ("bytes of a command set", limits.command_bytes, "`--max-command`"),
    ):
        yield (what, number(value), option)
    if of.stores:
        yield ("bytes of an object", number(limits.object_bytes), "`--max-object`")
    rate = limits.least_rate
    slow = f"{rate:g} bytes/s over {of.timeouts.rate:g} s" if rate else "none"
    yield ("least rate within a message", slow, "`--min-rate`, `--min-rate-time`")
    yield ("grace of running requests at the end", f"{of.grace:g} s", "`--grace`")


def _of_requestor(of: Requestor) -> Iterator[Row]:
    yield ("calling AE title", of.ae_title, "`-aet`")
    yield ("called AE title", of.called_ae_title, "`-aec`")
    yield ("host and TCP port of the other AE", port(of), "the first two parameters")
    yield ("maximum length of a PDU that is received", length(of.maximum_length), "`-pdu`")
    if of.stores:
        longest = length(of.maximum_send_length)
        yield ("maximum length of a PDU that is sent", longest, "`--max-send-pdu`")


def _timeouts(of: Acceptor | Requestor) -> Iterator[Row]:
    times = of.timeouts
    if isinstance(of, Acceptor):
        yield ("timeout from the connection to its A-ASSOCIATE-RQ (ARTIM)", *_acse(of))
        yield ("timeout between two fragments of a message", seconds(times.dimse), "`-td`")
    else:
        yield ("timeout of the connection", seconds(times.connection), "`-to`")
        yield ("timeout of answers to A-ASSOCIATE-RQ and A-RELEASE-RQ", *_acse(of))
        yield ("timeout of a response", seconds(times.dimse), "`-td`")
    yield ("timeout without a byte of the other AE", seconds(times.network), "`-tn`")
    yield ("timeout of the other AE to close a connection", seconds(times.closing), "")


def _acse(of: Acceptor | Requestor) -> tuple[str, str]:
    return seconds(of.timeouts.association), "`-ta`"


def _of_services(of: Acceptor | Requestor) -> str:
    rows: list[Row] = []
    if isinstance(of, Requestor):
        if of.stores:
            rows.append(("associations at a time", of.associations, "`--jobs`"))
            rows.append(("requests that may be unanswered", window(of.window), "`--window`"))
            after = "ends the association" if of.halts else "is reported, and the others are sent"
            rows.append(("an object that is not stored", after, "`--no-halt`"))
    elif of.stores:
        asked = window(of.policy.window)
        rows.append(("requests of an association that may be unanswered", asked, "`--window`"))
        if of.keeping.how == "files":
            durability = "synced to the disk" if of.keeping.durability == "durable" else "written"
            rows.append(("success is answered after an object is", durability, "`--durability`"))
            sort = "into subfolders" if of.keeping.sorting is not None else "none"
            rows.append(("sorting", sort, "see the command's options"))
    return table(_HEAD, rows) if rows else "Nothing besides the above."
