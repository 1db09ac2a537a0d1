"""The Conformance Statement: its arrangement, and that it says what the command line says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from aiodicom.conformance.markdown import anchor
from tests.conformance.asking import section, written
from tests.test_documentation import headings

PAGE = Path(__file__).parents[2] / "docs/conformance.md"

CHAPTERS = [
    "1 Overview",
    "2 Table of Contents",
    "3 Introduction",
    "4 Implementation Model",
    "5 Service and Interoperability Description",
    "6 Configuration",
    "7 Network and Media Communication Details",
    "8 Security",
]
"""Of PS3.2 Annex N's template."""

COMMAND_LINES = (
    ("storescp", "11112"),
    ("dcmrecv", "104", "-xf", "storescp.cfg", "AllDICOM"),
    ("echoscp",),
    ("storescu", "archive.example", "104"),
    ("storescu", "--required"),
    ("storescu", "-xf", "storescu.cfg", "Default"),
    ("echoscu", "archive.example", "104", "-ppc", "3"),
)


def test_the_page_is_the_statement_of_the_defaults() -> None:
    assert PAGE.read_text(encoding="utf-8") == written("storescp", "11112"), "make conformance"


@pytest.mark.parametrize("words", COMMAND_LINES, ids=" ".join)
def test_chapters_are_those_of_the_template(words: tuple[str, ...]) -> None:
    found = re.findall(r"^## (.*)$", written(*words), re.MULTILINE)
    assert found[: len(CHAPTERS)] == CHAPTERS
    assert [title.split()[1] for title in found[len(CHAPTERS) :]] == list("ABCDEFG")


@pytest.mark.parametrize("words", COMMAND_LINES, ids=" ".join)
def test_every_link_leads_to_a_heading(words: tuple[str, ...], tmp_path: Path) -> None:
    text = written(*words)
    (tmp_path / "page.md").write_text(text, encoding="utf-8")
    links = set(re.findall(r"\]\(#([^)]+)\)", text))
    assert links <= headings(tmp_path / "page.md")
    assert len(links) > 30


@pytest.mark.parametrize("words", COMMAND_LINES, ids=" ".join)
def test_tables_are_as_wide_in_every_row(words: tuple[str, ...]) -> None:
    for table in re.findall(r"(?:^\|.*\n)+", written(*words), re.MULTILINE):
        widths = {len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}
        assert len(widths) == 1, table
        assert len(table.splitlines()) > 2, "a table without a row"


def test_an_anchor_is_what_github_makes_of_a_heading() -> None:
    assert anchor("7.2.1 X_1 Application-Entity") == "721-x_1-application-entity"


CHANGES = (
    (("--max-pdu", "65536"), "7.1.1", "16384 bytes", "65536 bytes"),
    (("--window", "8"), "7.1.1", "transactions | 1 |", "transactions | 8, where"),
    (("-ta", "7"), "7.1.1", "A-ASSOCIATE-RQ | 30 s", "A-ASSOCIATE-RQ | 7 s"),
    (("-tn", "9"), "7.1.1", "between messages | 60 s", "between messages | 9 s"),
    (("--max-associations", "3"), "7.1.1", "as acceptor | 12000", "as acceptor | 3 "),
    (("--max-object", "1k"), "7.3.2.2", None, "more than 1024 bytes"),
    (("--durability", "none"), "7.3.2.2", "are synced to the disk |", "not been synced"),
    (("--window", "8"), "7.3.2.2", None, "| 0210 |"),
    (("-su", "P"), "7.3.2.2", None, "no Study Instance UID"),
    (("--ignore",), "7.3.2.2", "| A900 |", "it is dropped"),
    (("--ignore",), "5.2.2.2", "bit preserving", "Nothing is stored"),
    (("+uf",), "5.2.2.2", "replaces the first", "under another name"),
    (("-F",), "1.4", "DICOM File Format", "a dataset alone"),
    (("--no-echo",), "7.3.2.1", "| 0000 |", "None."),
    (("+xi",), "G", "JPEG Baseline", None),
    (("+xs",), "7.2.1.4", "the requestor's first one", "whatever the requestor prefers"),
    (("--require-called-aet", "US"), "7.2.1.4", None, "7 called AE title"),
    (("--require-calling-aet", "CT"), "7.2.1.4", None, "3 calling AE title"),
    (("--deny", "10.0.0.0/8"), "7.2.1.4", None, "its address is not allowed"),
    (("--refuse",), "7.2.1.4", None, "the configuration says so"),
    (("--reject",), "7.2.1.4", None, "no Implementation Class UID"),
    (("+tls", "k", "c"), "8.4.2", "None is configured", "PS3.15 B.12"),
    (("+tls", "k", "c", "-ic"), "8.4.2", None, "is not verified"),
    (("+tls", "k", "c", "+px"), "C", "not configured", "TLS_RSA_WITH_AES_128_CBC_SHA"),
    (("+tls", "k", "c", "+pn"), "8.4.2", None, "**not encrypted**"),
    (("+tls", "k", "c", "+crl", "l"), "8.4.2", None, "Revocation lists"),
    (("--workers", "2"), "4.1.1", None, "2 processes share"),
    (("--inetd",), "8.3", "11112", "inetd's"),
    (("--inetd",), "4.1.1", "several at a time", "the one association"),
    (("--abort-after",), "3.3", None, "aborts on purpose"),
    (("-sp",), "5.7", None, "Patient's Name"),
    (("--ignore",), "7.2.1.1", "is stored by then", None),
    (("--ignore",), "7.3.1", "stays stored", None),
    (("--ignore",), "7.3.2.2", "cannot begin one", "the request has no dataset |"),
    (("--max-connections-per-address", "8"), "7.2.1.4", "12250", "of one address 8)"),
    (("--http", "8080"), "8.3", None, "port 8080 of the loopback"),
    (("--http", "0.0.0.0:8080"), "8.3", None, "on port 8080: metrics"),
    (("--announce-url", "http://pacs.example/"), "8.2", "None.", "they are told of what was"),
    (("--otel",), "8.2", "None.", "OpenTelemetry"),
)


@pytest.mark.parametrize(("options", "number", "before", "after"), CHANGES)
def test_an_option_changes_what_is_said(
    options: tuple[str, ...], number: str, before: str | None, after: str | None
) -> None:
    usual, changed = (
        section(written("storescp", *words), number) for words in (("11112",), ("11112", *options))
    )
    if before is not None:
        assert before in usual
        assert before not in changed
    if after is not None:
        assert after in changed
        assert after not in usual


def test_the_ae_title_is_the_configured_one() -> None:
    text = written("storescp", "104", "-aet", "INGEST")
    assert "### 7.2.1 INGEST Application Entity\n" in text
    assert "STORESCP" not in text
    assert "104, without TLS" in section(text, "8.3")


def test_a_socket_unit_s_command_line_has_no_port() -> None:
    assert "said when it is started, without TLS" in section(written("storescp"), "8.3")


def test_an_access_file_is_read(tmp_path: Path) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text(
        'called_ae_titles = ["INGEST"]\n[[rule]]\ncalling_ae_title = "CT1"\nnetworks = ["10.1.2.3"]'
    )
    text = written("storescp", "104", "--access-file", str(rules))
    assert "only INGEST." in section(text, "8.7")
    assert "3 calling AE title not recognized" in section(text, "7.2.1.4")
    assert "10.1.2.3" not in text


def test_user_identities_that_are_verified(tmp_path: Path) -> None:
    (tmp_path / "users").write_text("")
    rules = tmp_path / "rules.toml"
    rules.write_text('[identity]\nusers = "users"\n')
    text = written("storescp", "104", "--access-file", str(rules))
    assert "one must be offered" in section(text, "8.5.2")
    assert "the user identity is not accepted, or there is none" in section(text, "7.2.1.4")


@pytest.mark.parametrize(
    ("option", "number", "usual", "changed"),
    [
        (("+II",), "D", "No attribute is mapped", "Instance UID"),
        (("+IP", "2"), "A", "No SOP instance", "SOP instances of their own"),
        (("+IR", "2"), "1.6", "no attribute is changed", "another identity"),
        (("+IS", "2"), "5.2.2.1", "stay as they are", "another identity"),
        (("-u",), "D", "No attribute is mapped", "sent as OB"),
    ],
)
def test_a_sender_that_changes_objects_says_so(
    option: tuple[str, ...], number: str, usual: str, changed: str
) -> None:
    assert usual in section(written("storescu"), number)
    text = section(written("storescu", *option), number)
    assert changed in text
    assert usual not in text


def test_nothing_of_a_site_or_a_secret_is_told() -> None:
    words = ("storescu", "archive.example", "104", "study", "-usr", "somebody", "-pwd", "hush")
    text = written(*words)
    assert not [w for w in ("archive.example", "study/", "somebody", "hush") if w in text]
    assert "A user name, with or without a passcode, is offered" in section(text, "8.5.1")
