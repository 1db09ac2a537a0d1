"""What runs the pages notices what is wrong with them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.blocks import Block, find_blocks
from tests.docs.commands import split_commands, split_transcript
from tests.docs.plan import Command, Save, plan
from tests.docs.ports import Ports
from tests.docs.terminal import Terminal, is_like
from tests.docs.unrun import check_python, check_shell
from tests.processes import tries

SERVER = "```sh\npython -m aiodicom.storescp 11112 -ba 127.0.0.1 -od in\n```\n"
ECHO = "```sh\npython -m aiodicom.echoscu 127.0.0.1 11112\n```\n"


def read(page: str, folder: Path) -> Terminal:
    """Run a page."""
    with Terminal(folder, page) as terminal:
        for step in plan(find_blocks(page)):
            terminal.take(step)
    return terminal


def test_blocks_are_found_with_what_is_said_above_them() -> None:
    page = "<!-- not run: root -->\n```sh\nid\n```\n<!-- test: exit 1 -->\n\n```sh\nfalse\n```\n"
    assert find_blocks(page) == [
        Block("sh", "id", 3, not_run="root"),
        Block("sh", "false", 8, flags=("exit", "1")),
    ]


def test_what_is_said_above_a_paragraph_is_not_said_of_the_block_below_it() -> None:
    (block,) = find_blocks("<!-- not run: root -->\nWords.\n```sh\nid\n```\n")
    assert block.not_run == ""


def test_a_block_in_a_list_is_found() -> None:
    (block,) = find_blocks("- so:\n\n  ```python\n  if 1:\n      pass\n  ```\n")
    assert block.text == "if 1:\n    pass"


def test_a_comment_of_several_lines_is_a_block() -> None:
    (block,) = find_blocks("<!-- test: python continues\nassert x\n-->\n")
    assert (block.language, block.text, block.flags) == ("python", "assert x", ("continues",))


def test_a_command_may_take_several_lines() -> None:
    text = "a \\\n  b\n# no\nfor x in 1; do\n  c\ndone\ncat <<EOF\n$ d\nEOF\n\ne 'f\ng'"
    assert split_commands(text) == [
        "a \\\n  b",
        "for x in 1; do\n  c\ndone",
        "cat <<EOF\n$ d\nEOF",
        "e 'f\ng'",
    ]


def test_shell_that_is_none_is_an_error() -> None:
    with pytest.raises(AssertionError, match="no shell"):
        split_commands("if true")


def test_a_transcript_has_commands_and_what_they_printed() -> None:
    assert list(split_transcript("$ a \\\n>  b\nc\n\nd\n$ e")) == [
        ("a \\\n b", "c\n\nd"),
        ("e", ""),
    ]


def test_ports_are_others_and_uids_are_not() -> None:
    page = "x 11112 1.2.840.104.1 1.2.104 :104/ 11112"
    ports = Ports(page)
    other = ports.free(page)
    assert "11112" not in other
    assert ":104/" not in other
    assert "1.2.840.104.1 1.2.104 " in other
    assert ports.shown(other) == page


def test_a_file_that_is_named_further_down_is_only_saved() -> None:
    steps = plan(find_blocks("```python\n# app.py\n```\n```sh\npython app.py\n```\n"))
    assert steps == [Save(2, "app.py", "# app.py\n"), Command(5, "python app.py")]


def test_a_file_that_is_a_receiver_is_one_of_ours() -> None:
    page = "```python\n# app.py\naiodicom.run()\n```\n```sh\npython app.py\npython no.py\n```\n"
    steps = plan(find_blocks(page))
    assert [step.is_ours for step in steps if isinstance(step, Command)] == [True, False]


def test_a_file_that_nothing_names_is_run() -> None:
    steps = plan(find_blocks("```python\n# app.py\n```\n"))
    assert steps[1] == Command(2, "python app.py")


def test_a_command_that_fails_is_noticed(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=r"line 2: ls none\nended with 2"):
        read("```sh\nls none\n```\n", tmp_path)


def test_a_command_that_does_not_fail_as_it_should_is_noticed(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="ended with 0"):
        read("<!-- test: exit 3 -->\n```sh\ntrue\n```\n", tmp_path)


def test_only_the_last_command_of_a_block_fails_as_it_should(tmp_path: Path) -> None:
    read("<!-- test: exit 1 -->\n```sh\ntrue\nfalse\n```\n", tmp_path)


def test_a_command_that_fails_in_a_pipe_is_noticed(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="ended with 1"):
        read("```sh\nfalse | true\n```\n", tmp_path)


def test_what_a_command_has_left_behind_is_ended(tmp_path: Path) -> None:
    terminal = read("```sh\n(sleep 300 >/dev/null & echo $! >pid)\n```\n", tmp_path)
    process = Path("/proc", (terminal.folder / "pid").read_text().strip(), "stat")
    for _ in tries("it still runs"):
        if not process.exists() or process.read_text().split()[2] == "Z":
            return


def test_folder_and_exported_variables_hold_for_the_next_command(tmp_path: Path) -> None:
    page = '```sh\nmkdir a\ncd a\nexport B="c d"\n```\n```sh\ntouch "$B"\n```\n'
    terminal = read(page, tmp_path)
    assert (terminal.folder / "a/c d").exists()


def test_another_output_than_the_page_says_is_noticed(tmp_path: Path) -> None:
    read("```sh\necho a; echo b\n```\n```text\na\n...\n```\n", tmp_path)
    (tmp_path / "2").mkdir()
    with pytest.raises(AssertionError, match="printed\nb"):
        read("```console\n$ echo b\na\n```\n", tmp_path / "2")


def test_text_below_what_is_not_run_is_only_text() -> None:
    not_run = "<!-- not run: root -->\n```sh\nid\n```\n```text\nroot\n```\n"
    assert plan(find_blocks("```text\na\n```\n```toml\na\n```\n```text\nb\n```\n" + not_run)) == []


def test_an_output_of_nothing_is_noticed() -> None:
    with pytest.raises(AssertionError, match="line 3: the output of nothing"):
        plan(find_blocks("<!-- test: output -->\n```json\n{}\n```\n"))


def test_dots_stand_for_anything_and_nothing_else_does() -> None:
    assert is_like("a 17 ms \nb\nc\n", "a ... ms\n...\nc")
    assert not is_like("a 17 s", "a ... ms")
    assert not is_like("axb", "a.b")


def test_a_program_that_awaits_is_run(tmp_path: Path) -> None:
    page = "```python\nimport asyncio\n\nprint(await asyncio.sleep(0, 7))\n```\n```text\n7\n```\n"
    read(page, tmp_path)


def test_a_program_that_raises_is_noticed(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        read("```python\n1 / 0\n```\n", tmp_path)


def test_hidden_python_stands_before_and_behind_the_visible(tmp_path: Path) -> None:
    page = (
        "<!-- test: python\na = 1\n-->\n```python\nb = a + 1\n```\n"
        "<!-- test: python continues\nassert b == {}\n-->\n"
    )
    read(page.format(2), tmp_path)
    (tmp_path / "2").mkdir()
    with pytest.raises(AssertionError, match="assert b == 3"):
        read(page.format(3), tmp_path / "2")


def test_what_is_continued_is_run_once() -> None:
    steps = plan(
        find_blocks("```python\na = 1\n```\n<!-- test: continues -->\n```python\nprint(a)\n```\n")
    )
    assert [step.text for step in steps if isinstance(step, Save)] == ["a = 1\nprint(a)\n"]


def test_a_server_goes_on_beside_the_page_and_ends_with_it(tmp_path: Path) -> None:
    terminal = read(SERVER + ECHO, tmp_path)
    assert not terminal.ports.listening()


def test_what_a_server_prints_is_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = "<!-- test: server -->\n```\nI: Listening on port 11112 ...{}\n```\n"
    page = SERVER.replace(" -od", " -v -od") + ECHO
    read(page + shown.format("Association Released"), tmp_path)
    monkeypatch.setattr("tests.docs.terminal.SOON", 0.1)
    (tmp_path / "2").mkdir()
    with pytest.raises(AssertionError, match="printed\nI: Listening"):
        read(page + shown.format("Association Aborted"), tmp_path / "2")


def test_a_command_that_does_nothing_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.docs.terminal.PATIENCE", 0.2)
    with pytest.raises(AssertionError, match="line 2: sleep 60\nneither ends nor listens"):
        read("```sh\nsleep 60\n```\n", tmp_path)


@pytest.mark.parametrize(
    ("before", "complaint"),
    [
        ("import signal, sys; signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))", "with 3"),
        ("print('Traceback (most recent call last):')", "Traceback"),
        ("# as aiodicom.run would not", "with 143"),
    ],
    ids=["its own code", "a traceback", "death where ours would end"],
)
def test_a_server_that_does_not_end_cleanly_is_noticed(
    tmp_path: Path, before: str, complaint: str
) -> None:
    source = "import socket\nlistening = socket.create_server(('127.0.0.1', 11112))\n"
    with pytest.raises(AssertionError, match=complaint):
        read(f"```python\n{before}\n{source}listening.accept()\n```\n", tmp_path)


def test_a_server_ends_where_another_one_wants_its_port(tmp_path: Path) -> None:
    second = SERVER.replace("storescp", "echoscp").replace(" -od in", "")
    terminal = read(SERVER + second + ECHO, tmp_path)
    assert not (tmp_path / "4.log").exists(), "it was tried at a port that was taken"
    assert not terminal.ports.listening()


def test_a_server_ends_where_a_program_finds_its_port_taken(tmp_path: Path) -> None:
    source = "import socket\nsocket.create_server(('127.0.0.1', 11112)).accept()\n"
    terminal = read(f"{SERVER}```python\n{source}```\n", tmp_path)
    assert "in use" in (tmp_path / "2.log").read_text()
    assert (tmp_path / "3.log").exists()
    assert not terminal.ports.listening()


def test_a_server_on_another_port_goes_on(tmp_path: Path) -> None:
    other = SERVER.replace("11112", "11113").replace("storescp", "echoscp").replace(" -od in", "")
    terminal = read(other + SERVER + SERVER + ECHO.replace("11112", "11113"), tmp_path)
    assert not terminal.ports.listening()


def test_python_that_takes_what_is_not_there_is_noticed() -> None:
    check_python("import aiodicom\nfrom aiodicom.tls import TLS\naiodicom.Status.SUCCESS")
    with pytest.raises(AssertionError, match=r"aiodicom\.nothing"):
        check_python("aiodicom.nothing(1)")


def test_shell_that_our_commands_do_not_take_is_noticed() -> None:
    check_shell("python -m aiodicom.storescp 104 -od x | tee log\nsudo make test")
    with pytest.raises(Exception, match="unknown option --none"):
        check_shell("aiodicom storescp 104 --none")
    with pytest.raises(AssertionError, match="make has no cake"):
        check_shell("make cake")
