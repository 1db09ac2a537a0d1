"""The pages: commands are what is said of them, every file is named, every link leads somewhere."""

from __future__ import annotations

import importlib
import re
from collections import Counter
from pathlib import Path

import pytest

from aiodicom.cli.options import Command
from tests.options_page import PAGE, page

ROOT = Path(__file__).parents[1]

PAGES = sorted((*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")))

EXPECTED = {
    "dcmrecv": """
        -h --help --version --arguments -q --quiet -v --verbose -d --debug -ll --log-level -lc
        --log-config +v --verbose-pc -xf --config-file -aet --aetitle -uca --use-called-aetitle
        -ta --acse-timeout -td --dimse-timeout -pdu --max-pdu -dhl --disable-host-lookup -od
        --output-directory -s --no-subdir +ssd --series-date-subdir +fd --default-filenames +fu
        --unique-filenames +fsu --short-unique-names +fst --system-time-names -fe
        --filename-extension -B --normal +B --bit-preserving --ignore""",
    "echoscp": """
        -q --quiet -v --verbose -d --debug -ll --log-level -aet --ae-title --aetitle -ta
        --acse-timeout -td --dimse-timeout -tn --network-timeout -pdu --max-pdu -x=
        --prefer-uncompr -xe --prefer-little -xb --prefer-big -xi --implicit""",
    "storescp": """
        -v -d -r -i -s -S -b -q --quiet --verbose --debug -aet --aetitle --ae-title -to --timeout
        -ta --acse-timeout -td --dimse-timeout -pdu --max-pdu --ignore -x= --prefer-uncompr -xe
        --prefer-little -xb --prefer-big -xi --implicit -od --output-directory
        --refuse --reject --sleep-after --sleep-during --abort-after --abort-during -pm -up -B +B
        +F -F -ss -su -sp -uf +uf --timenames -fe -xcr -xcs -rns -tos -xs -xf -ts -dhl +xa +xs +xy
        +xx +xr +xv +xw +xt +xu +xm +xh +xn +xl +x2 +x3 +xo +x4 +x5 +xd --fork --max-associations
        --no-echo -ba +tls""",
    "storescu": """
        -h --help -v --verbose +v --verbose-pc -d --debug -aet --aetitle -aec --call -x=
        --propose-uncompr -xe --propose-little -xb --propose-big -xi --propose-implicit -xs
        --propose-lossless -xy --propose-jpeg8 -xx --propose-jpeg12 -xr --propose-rle -xd
        --propose-deflated -xv -xw -xt -xu -xm -xh -xn -xl -R --required +C --combine +u
        --enable-new-vr -u --disable-new-vr +cl --compression-level -pdu --max-pdu
        --max-send-pdu --repeat --abort --no-halt +II --invent-instance +IR --invent-series +IS
        --invent-study +IP --invent-patient -tls --disable-tls +tls --enable-tls +tla
        --anonymous-tls +ps --std-passwd +pw --use-passwd -pw --null-passwd -pem --pem-keys -der
        --der-keys +cf --add-cert-file +cd --add-cert-dir +cs --cipher +dp --dhparam +rs --seed
        +ws --write-seed +wf --write-seed-file -rc --require-peer-cert -vc --verify-peer-cert -ic
        --ignore-peer-cert +sd +sp +r -r -cx --required-contexts --calling-aet --called-aet
        --recurse --request-little --request-big --request-implicit -usr -pwd -kt --saml --jwt
        -xf --jobs""",
    "echoscu": """
        -q -v -d -ll -lc -aet --aetitle --calling-aet -aec --call --called-aet -pts --propose-ts
        -ppc --propose-pc -to -ts -ta -td -pdu --repeat --abort -xe -xb -xi +tls""",
}
"""What the users of the commands that had these names before type."""


@pytest.mark.parametrize("name", EXPECTED)
def test_a_command_takes_what_its_users_type(name: str) -> None:
    command: Command = importlib.import_module(f"aiodicom.{name}").COMMAND
    known = {word for group in command.groups for option in group.options for word in option.names}
    assert set(EXPECTED[name].split()) <= known


@pytest.mark.parametrize("name", EXPECTED)
def test_every_setting_has_a_default_and_no_name_two_meanings(name: str) -> None:
    command: Command = importlib.import_module(f"aiodicom.{name}").COMMAND
    options = [option for group in command.groups for option in group.options]
    words = [word for option in options for word in option.names]
    assert sorted(words) == sorted(set(words))
    made = {option.dest for option in options}
    silent = {"help", "version", "offline"} | {o.dest for o in options if o.note}
    answered = {o.dest for o in options if set(o.names) & set(command.answers)}
    assert made - silent - answered == set(command.defaults) - silent - answered


def test_the_page_of_options_is_what_the_commands_say() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "make options writes it anew"


def test_architecture_has_every_file_of_the_package_and_no_other() -> None:
    page = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    house = page.partition("\naiodicom/\n")[2].partition("```")[0]
    named = Counter(re.findall(r"\b\w+\.py\b", house))
    there = Counter(path.name for path in (ROOT / "aiodicom").rglob("*.py"))
    untold = {"__init__.py", *(name for name in there if there[name] > 1)}
    assert {n for n in named if n not in untold} == {n for n in there if n not in untold}
    assert all(named[name] >= 1 for name in untold)


@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_links_lead_to_pages_and_headings_that_are_there(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if target.startswith("https://"):
            continue
        file, _, heading = target.partition("#")
        to = page.parent / file if file else page
        assert to.exists(), target
        assert not heading or heading in headings(to), target


def headings(page: Path) -> set[str]:
    """What links to the headings of a page are called."""
    lines = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", line.lower()).replace(" ", "-") for line in lines}
