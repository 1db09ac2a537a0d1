"""Association profiles: DCMTK's configuration files, and what comes with the commands."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from aiodicom.cli.builtin_profiles import abstract_syntax
from aiodicom.cli.profiles import Profile, ProfileError, load_profile
from aiodicom.storage.layout import PREFIXES
from aiodicom.wire.negotiation import VERIFICATION

ROOT = "1.2.840.10008.1.2"
ELE, EBE, ILE, DEFLATED, LOSSLESS = f"{ROOT}.1", f"{ROOT}.2", ROOT, f"{ROOT}.1.99", f"{ROOT}.4.70"
CT = "1.2.840.10008.5.1.4.1.1.2"

SYNTAXES = """
[[TransferSyntaxes]]
[Two]
TransferSyntax1 = LittleEndianExplicit
TransferSyntax2 = LittleEndianImplicit
"""
CONTEXTS = """
[[PresentationContexts]]
[Some]
PresentationContext1 = VerificationSOPClass\\Two
PresentationContext2 = CTImageStorage\\Two
"""
PROFILES = """
[[Profiles]]
[Default]
PresentationContexts = Some
"""
PLAIN = SYNTAXES + CONTEXTS + PROFILES
MORE = PROFILES + "SCPSCURoleSelection = Roles\nExtendedNegotiation = Extended\n"
ROLES = "[[SCPSCURoleSelection]]\n[Roles]\n"
EXTENDED = "[[ExtendedNegotiation]]\n[Extended]\n"
AGREED = ((VERIFICATION, (ELE, ILE)), (CT, (ELE, ILE)))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "a.cfg"


def read(file: Path, text: str, name: str = "Default", *, receiving: bool = True) -> Profile:
    file.write_bytes(text.encode("latin-1"))
    return load_profile(f"{file}", name, receiving=receiving)


def with_list(entries: str) -> str:
    """A file whose list of transfer syntaxes has other entries."""
    return f"[[TransferSyntaxes]]\n[Two]\n{entries}\n{CONTEXTS}{PROFILES}"


# Grammar ------------------------------------------------------------------------------------------


def test_profile(file: Path) -> None:
    assert read(file, PLAIN) == Profile("Default", AGREED)


@pytest.mark.parametrize(
    "text",
    [
        PROFILES + CONTEXTS + SYNTAXES,
        PLAIN.replace("\n", "\r\n"),
        PLAIN.replace("\n", "\r"),
        PLAIN.replace("[Two]", "[ T w/o ]\n"),
        PLAIN.replace("[[Profiles]]", "[[[[ pro\nfiles ]]]]"),
        PLAIN.replace("\\Two", "\\ two "),
        PLAIN.replace("\\Two", " \\Two"),
        PLAIN.replace("TransferSyntax2", "#TransferSyntax2 = Nothing\ntransfer syntax 2"),
        PLAIN.replace(" = ", "="),
        PLAIN.replace(" = LittleEndianExplicit", "\0=\0" + ELE),
        PLAIN.replace("= Some", "=\n\tSome"),
        PLAIN.replace("Implicit\n", "Implicit  \n"),
        PLAIN.replace("LittleEndianExplicit", "LocalEndianExplicit"),
        PLAIN.replace("LittleEndianExplicit", ELE),
        PLAIN.replace("CTImageStorage", CT),
        PLAIN.replace("CTImageStorage", "=CTImageStorage"),
        PLAIN.rstrip("\n"),
        "\xef\xbb\xbf" + PLAIN,
    ],
)
def test_spellings_that_do_not_matter(file: Path, text: str) -> None:
    profile = read(file, text)
    assert profile.contexts == AGREED
    assert profile.warnings == ()


@pytest.mark.parametrize("name", ["Default", "default", "d e f a u l t", "DEFAULT\t"])
def test_names_of_profiles_in_any_case_and_with_blanks(file: Path, name: str) -> None:
    assert read(file, PLAIN, name).name == "Default"


def test_list_in_two_parts(file: Path) -> None:
    part = "[two]\nTransferSyntax1 = BigEndianExplicit\n"
    profile = read(file, SYNTAXES + part + CONTEXTS + PROFILES)
    assert profile.contexts[0] == (VERIFICATION, (ELE, ILE, EBE))
    assert profile.warnings == ()


@pytest.mark.parametrize(
    ("text", "warning"),
    [
        (PLAIN.replace("TransferSyntax2", "TransferSyntax3"),
         ("[[TransferSyntaxes]] [Two] TransferSyntax3 is ignored: there is no TransferSyntax2, "
         "and keys are numbered from 1 without gaps")),
        (PLAIN.replace("PresentationContext2", "PresentationContext9"),
         ("[[PresentationContexts]] [Some] PresentationContext9 is ignored: there is no "
         "PresentationContext2, and keys are numbered from 1 without gaps")),
        (PLAIN.replace("TransferSyntax2", "TransfreSyntax2"),
         ("[[TransferSyntaxes]] [Two] TRANSFRESYNTAX2 is ignored: keys are TransferSyntax1, "
         "TransferSyntax2 and so on")),
        (PLAIN.replace("TransferSyntax2", "TransferSyntax1"),
         "[Two] TransferSyntax1 is ignored: it is there twice, the first one counts"),
        (SYNTAXES + "[Third]\nTransferSyntax1 = RLELossless\n" + CONTEXTS + PROFILES,
         "[[TransferSyntaxes]] [Third] is used by nothing"),
        ("TransferSyntax1 = x\n" + PLAIN,
         "TransferSyntax1 is ignored: it stands before any section"),
        (PLAIN.replace("[Some]", "Key = x\n[Some]"),
         "Key is ignored: it stands before any section"),
        ("[Two]\nTransferSyntax1 = x\n" + PLAIN,
         "[Two] is ignored: it stands before any [[...]]"),
        (PLAIN.replace("TransferSyntax2", "words\nTransferSyntax2"),
         '"words TransferSyntax2" is taken for one key: a line has no "="'),
        (PLAIN + "the end\n", '"the end" is ignored: a line has no "="'),
        (PLAIN + "[[TransferSyntaxes]]\n", "the second [[TransferSyntaxes]] is ignored: join them"),
        (PLAIN + "[[Other]]\n", "[[OTHER]] is ignored: it means nothing in such a file"),
        (PLAIN + "Rôles = x\n",
         ("[[Profiles]] [Default] RLES is ignored: keys are PresentationContexts, "
         "SCPSCURoleSelection, ExtendedNegotiation")),
    ],
)  # fmt: skip
def test_warnings_of_what_dcmtk_ignores(file: Path, text: str, warning: str) -> None:
    profile = read(file, text)
    assert profile.contexts[0][1][0] == ELE
    assert f"{file}: {warning}" in profile.warnings


# Errors -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (CONTEXTS + PROFILES, "it has no [[TransferSyntaxes]]"),
        (SYNTAXES + PROFILES, "it has no [[PresentationContexts]]"),
        (SYNTAXES + CONTEXTS, "it has no [[Profiles]]"),
        (SYNTAXES + "words\n" + CONTEXTS + PROFILES,
         ("it has no [[PresentationContexts]]; \"words [[PresentationContexts]] [Some] "
         "PresentationContext1\" is taken for one key")),
        (with_list("TransferSyntax1 = Nothing"),
         '[[TransferSyntaxes]] [Two] TransferSyntax1: "Nothing" is no transfer syntax'),
        (with_list("TransferSyntax1 =\nTransferSyntax2 = RLELossless"),
         '[[TransferSyntaxes]] [Two] TransferSyntax1: "" is no transfer syntax'),
        (with_list("TransferSyntax1 = RLELossless\n  TransferSyntax2 = JPEG2000"),
         ('"RLELossless\\n  TransferSyntax2 = JPEG2000" is no transfer syntax: write its UID, or '
         "its keyword in PS3.6; a line that begins with white space continues the one above")),
        (with_list(""), "[[TransferSyntaxes]] has no [Two], or an empty one"),
        (with_list("TransferSyntax01 = RLELossless"), "[[TransferSyntaxes]] has no [Two]"),
        (PLAIN.replace("CTImageStorage\\Two", "CTImageStorage\\Three"),
         ("[[PresentationContexts]] [Some] PresentationContext2: [[TransferSyntaxes]] has no "
         "[Three], or an empty one")),
        (PLAIN.replace("CTImageStorage\\Two", "CTImageStorage"),
         ("PresentationContext2: a backslash and the name of a list of transfer syntaxes are "
         "missing after CTImageStorage")),
        (PLAIN.replace("CTImageStorage", "Nothing"), '"Nothing" is no SOP class'),
        (PLAIN.replace("= Some", "= Others"),
         "[[Profiles]] [Default]: [[PresentationContexts]] has no [Others], or an empty one"),
        (PLAIN.replace("PresentationContexts = Some", "Key = Some"),
         "[[Profiles]] [Default]: it needs PresentationContexts = (the name of a list)"),
        (PLAIN + "[Def ault]\nPresentationContexts = Some\n",
         "[Def ault] of [[Profiles]] is there twice"),
        (PLAIN + "[Other]\nPresentationContexts = Others\n",
         "[[Profiles]] [Other]: [[PresentationContexts]] has no [Others]"),
        (SYNTAXES + CONTEXTS + MORE,
         "[[Profiles]] [Default]: [[SCPSCURoleSelection]] has no [Roles], or an empty one"),
    ],
)  # fmt: skip
def test_file_that_cannot_be_used(file: Path, text: str, why: str) -> None:
    with pytest.raises(ProfileError) as caught:
        read(file, text)
    assert f"{caught.value}".startswith(f"{file}: ")
    assert why in f"{caught.value}"
    assert "\n" not in f"{caught.value}"


def test_profile_that_is_not_there(file: Path) -> None:
    with pytest.raises(ProfileError, match=r"there is no profile Other in it: it has Default$"):
        read(file, PLAIN, "Other")


def test_what_a_file_says_is_escaped(file: Path) -> None:
    with pytest.raises(ProfileError, match=r'"\\x1b\[31m" is no transfer syntax'):
        read(file, with_list("TransferSyntax1 = \x1b[31m"))


@pytest.mark.parametrize("name", ["none.cfg", "."])
def test_file_that_cannot_be_read(tmp_path: Path, name: str) -> None:
    with pytest.raises(ProfileError, match="cannot be read: "):
        load_profile(f"{tmp_path / name}", "Default", receiving=True)


# Receiving and sending ----------------------------------------------------------------------------


def contexts(count: int) -> str:
    """A file with a profile of `count` contexts of one SOP class."""
    lines = (f"PresentationContext{n} = CTImageStorage\\Two\n" for n in range(1, count + 1))
    return f"{SYNTAXES}[[PresentationContexts]]\n[Some]\n{''.join(lines)}{PROFILES}"


def test_sender_has_128_contexts_of_any_class(file: Path) -> None:
    profile = read(file, contexts(128), receiving=False)
    assert profile.contexts == ((CT, (ELE, ILE)),) * 128


def test_sender_has_no_129th(file: Path) -> None:
    with pytest.raises(ProfileError, match=r"129 presentation contexts, .* room for 128"):
        read(file, contexts(129), receiving=False)


def test_receiver_has_a_class_once(file: Path) -> None:
    with pytest.raises(ProfileError, match=f"profile Default: {CT} is there twice"):
        read(file, contexts(2))


def test_receiver_has_any_number_of_classes(file: Path) -> None:
    text = re.sub(r"(\d+) = CTImageStorage", r"\1 = 1.2.3.\1", contexts(300))
    assert len(read(file, text).contexts) == 300
    with pytest.raises(ProfileError, match="300 presentation contexts"):
        read(file, text, receiving=False)


# Roles and extended negotiation -------------------------------------------------------------------


def test_roles_and_extended_negotiation(file: Path) -> None:
    text = (
        f"{SYNTAXES}{CONTEXTS}{ROLES}Role1 = CTImageStorage\\Scp\n"
        f"Role2 = VerificationSOPClass\\BOTH\n{EXTENDED}"
        f"ExtendedNegotiation1 = CTImageStorage\\0201fF\n{MORE}"
    )
    profile = read(file, text)
    assert profile.contexts == AGREED
    assert profile.roles == {CT: "SCP", VERIFICATION: "BOTH"}
    assert profile.extended == {CT: b"\x02\x01\xff"}
    assert profile.warnings == ()


@pytest.mark.parametrize(
    ("roles", "extended", "why"),
    [
        ("CTImageStorage", "", "Role1: a backslash and a role are missing after CTImageStorage"),
        ("CTImageStorage\\USER", "", 'Role1: "USER" is no role: SCU, SCP or BOTH'),
        ("MRImageStorage\\SCU", "", "SCPSCURoleSelection has 1.2.840.10008.5.1.4.1.1.4, which is"),
        ("CTImageStorage\\SCU\nRole2 = CTImageStorage\\SCP", "",
         f"SCPSCURoleSelection has {CT} twice"),
        ("", "CTImageStorage\\", "a backslash and bytes in hexadecimal are missing"),
        ("", "CTImageStorage\\010", '"010" is not bytes: two hexadecimal digits each'),
        ("", "CTImageStorage\\0x", '"0x" is not bytes'),
        ("", "CTImageStorage\\" + "00" * 1025, "more than 1024 bytes"),
        ("", "MRImageStorage\\00", "ExtendedNegotiation has 1.2.840.10008.5.1.4.1.1.4, which is"),
        ("", "CTImageStorage\\00\nExtendedNegotiation2 = CTImageStorage\\01",
         f"ExtendedNegotiation has {CT} twice"),
    ],
)  # fmt: skip
def test_wrong_roles_and_extended_negotiation(
    file: Path, roles: str, extended: str, why: str
) -> None:
    roles, extended = roles or "CTImageStorage\\SCU", extended or "CTImageStorage\\00"
    lists = f"{ROLES}Role1 = {roles}\n{EXTENDED}ExtendedNegotiation1 = {extended}\n"
    text = SYNTAXES + CONTEXTS + lists + MORE
    with pytest.raises(ProfileError) as caught:
        read(file, text)
    assert why in f"{caught.value}"


# Names of SOP classes -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "uid"),
    [
        ("VerificationSOPClass", VERIFICATION),
        ("Verification", VERIFICATION),
        ("CTImageStorage", CT),
        ("MultiframeTrueColorSecondaryCaptureImageStorage", "1.2.840.10008.5.1.4.1.1.7.4"),
        ("MultiFrameTrueColorSecondaryCaptureImageStorage", "1.2.840.10008.5.1.4.1.1.7.4"),
        ("UltrasoundMultiframeImageStorage", "1.2.840.10008.5.1.4.1.1.3.1"),
        ("RETIRED_UltrasoundMultiframeImageStorage", "1.2.840.10008.5.1.4.1.1.3"),
        ("UltrasoundMultiFrameImageStorageRetired", "1.2.840.10008.5.1.4.1.1.3"),
        ("DRAFT_SRTextStorage", "1.2.840.10008.5.1.4.1.1.88.1"),
        ("DICOS_CTImageStorage", "1.2.840.10008.5.1.4.1.1.501.1"),
        ("DICONDE_EddyCurrentImageStorage", "1.2.840.10008.5.1.4.1.1.601.1"),
        ("PETImageStorage", "1.2.840.10008.5.1.4.1.1.128"),
        ("1.2.3", "1.2.3"),
    ],
)
def test_names_of_sop_classes(name: str, uid: str) -> None:
    assert abstract_syntax(name) == uid


# Built in -----------------------------------------------------------------------------------------


@pytest.fixture
def in_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("in_empty_folder")
def test_default_receives_every_storage_class() -> None:
    profile = load_profile("storescp.cfg", "default", receiving=True)
    assert (profile.name, profile.warnings) == ("Default", ())
    assert profile.contexts[0] == (VERIFICATION, (ELE, EBE, ILE))
    assert {uid for uid, _ in profile.contexts} == {VERIFICATION, *PREFIXES}
    by_class = dict(profile.contexts)
    assert by_class[abstract_syntax("BasicTextSRStorage")] == (DEFLATED, ELE, EBE, ILE)
    images = by_class[CT]
    assert len(images) == len(set(images)) > 45
    assert images[0] == LOSSLESS
    assert images.index(f"{ROOT}.4.90") < images.index(f"{ROOT}.4.50")  # without loss comes first
    assert images[-3:] == (ELE, EBE, ILE)


@pytest.mark.usefixtures("in_empty_folder")
def test_all_dicom_is_what_is_current() -> None:
    everything = dict(load_profile("storescp.cfg", "Default", receiving=True).contexts)
    current = dict(load_profile("storescp.cfg", "all dicom", receiving=True).contexts)
    assert current.items() <= everything.items()
    left_out = everything.keys() - current.keys()
    names = ("RETIRED_StoredPrintStorage", "RETIRED_VLImageStorage", "DRAFT_SRTextStorage",
             "DICOS_CTImageStorage", "DICONDE_EddyCurrentImageStorage")  # fmt: skip
    assert {abstract_syntax(name) for name in names} <= left_out
    assert CT in current
    assert len(left_out) == 32


@pytest.mark.usefixtures("in_empty_folder")
def test_default_of_senders() -> None:
    profile = load_profile("storescu.cfg", "Default", receiving=False)
    assert len(profile.contexts) == 128
    proposed = [syntaxes for uid, syntaxes in profile.contexts if uid == CT]
    assert proposed == [(f"{ROOT}.4.50",), (LOSSLESS,), (ELE, EBE, ILE)]


@pytest.mark.usefixtures("in_empty_folder")
def test_profile_of_senders_is_none_of_receivers() -> None:
    with pytest.raises(ProfileError, match="is there twice"):
        load_profile("storescu.cfg", "Default", receiving=True)


@pytest.mark.usefixtures("in_empty_folder")
def test_profile_that_is_not_built_in() -> None:
    with pytest.raises(ProfileError, match=r"no profile Other comes .*: only Default, AllDICOM$"):
        load_profile("storescp.cfg", "Other", receiving=True)


def test_missing_file_elsewhere_is_said_to_be_missing(tmp_path: Path) -> None:
    path = f"{tmp_path / 'storescp.cfg'}"
    profile = load_profile(path, "Default", receiving=True)
    assert profile.warnings == (f"{path}: there is no such file: its built-in namesake is used",)


def test_file_comes_before_what_is_built_in(in_empty_folder: Path) -> None:
    (in_empty_folder / "storescp.cfg").write_text(PLAIN)
    assert load_profile("storescp.cfg", "Default", receiving=True).contexts == AGREED


# DCMTK --------------------------------------------------------------------------------------------

DCMTKS = Path("/etc/dcmtk")


@pytest.mark.dcmtk
@pytest.mark.parametrize(
    ("name", "profile", "receiving"),
    [("storescp.cfg", "Default", True), ("storescp.cfg", "AllDICOM", True),
     ("storescu.cfg", "Default", False)],
)  # fmt: skip
def test_dcmtks_own_files(name: str, profile: str, receiving: bool) -> None:
    theirs = load_profile(f"{DCMTKS / name}", profile, receiving=receiving)
    assert len(theirs.contexts) == 128  # what 3.6.7 has; later ones have more
    ours = load_profile(name, profile, receiving=receiving)
    assert {uid for uid, _ in theirs.contexts} <= {uid for uid, _ in ours.contexts}
    if not receiving:
        assert set(theirs.contexts) == set(ours.contexts)
    assert not [warning for warning in theirs.warnings if "is used by nothing" not in warning]


INVALID_ASSOCIATION_CONFIG = 66
INVALID_OUTPUT_DIRECTORY = 45
"""What dcmrecv says where it got past the configuration file."""

GOOD = (
    PLAIN,
    PLAIN.replace("TransferSyntax2", "TransferSyntax1"),
    PLAIN.replace("TransferSyntax2", "TransferSyntax7"),
    PLAIN.replace("TransferSyntax2", "words\nTransferSyntax2"),
    PLAIN.replace("[[Profiles]]", "[[[ pro files ]]]"),
    PLAIN.replace("= Some", "=\n  Some"),
    PLAIN.replace("[Two]", "[ t wo ]"),
    PLAIN + "[[TransferSyntaxes]]\n[Bad]\nTransferSyntax1 = Nothing\n",
    SYNTAXES + CONTEXTS + ROLES + "Role1 = CTImageStorage\\scp\n" + EXTENDED
    + "ExtendedNegotiation1 = CTImageStorage\\00fF\n" + MORE,
)  # fmt: skip
BAD = (
    SYNTAXES + PROFILES,
    PLAIN.replace("\\Two", "\\Three"),
    PLAIN.replace("CTImageStorage", "Nothing"),
    PLAIN.replace("CTImageStorage\\Two", "CTImageStorage"),
    PLAIN.replace("= Some", "= Others"),
    PLAIN.replace("[Default]", "[Other]"),
    PLAIN + "[DEFAULT]\nPresentationContexts = Some\n",
    PLAIN.replace("TransferSyntax1", "TransferSyntax0"),
    contexts(2),
    with_list("TransferSyntax1 = RLELossless\n  TransferSyntax2 = JPEG2000"),
    with_list("TransferSyntax1 =\nTransferSyntax2 = RLELossless"),
    SYNTAXES + CONTEXTS + MORE,
    SYNTAXES + "words\n" + CONTEXTS + PROFILES,
    SYNTAXES + CONTEXTS + ROLES + "Role1 = CTImageStorage\\x\n" + MORE,
)  # fmt: skip


@pytest.mark.dcmtk
@pytest.mark.parametrize("text", GOOD + BAD)
def test_dcmrecv_finds_the_same_files_good_and_bad(file: Path, text: str) -> None:
    file.write_text(text)
    done = subprocess.run(
        ("dcmrecv", "-xf", file, "default", "-od", file.parent / "none", "11112"),
        capture_output=True, timeout=20, check=False,
    )  # fmt: skip
    assert done.returncode in (INVALID_ASSOCIATION_CONFIG, INVALID_OUTPUT_DIRECTORY)
    try:
        load_profile(f"{file}", "default", receiving=True)
    except ProfileError:
        assert done.returncode == INVALID_ASSOCIATION_CONFIG
    else:
        assert done.returncode == INVALID_OUTPUT_DIRECTORY
