"""Every shell line and every Python block of README.md and docs/ is run, as a reader would.

A page is read from top to bottom in a new empty folder, with an empty home beside it and the
virtual environment's programs on the path. So a page shows whatever it needs before it needs it.
What counts is the word behind a fence:

``sh``, ``bash``
    Each command is run and has to end with exit code 0. The folder it changed to, and what it
    exported, hold for the next one.
``console``
    The same for the lines that begin with ``$``; what follows a command is its output.
``text``
    The output of the command, or of the Python block, that is the block above it. ``...`` stands
    for anything. Below any other block, and below one that is not run, it is only text; so is
    what stands behind a fence without a word.
``python``
    A program of its own, which may ``await`` at its top level (as ``python -m asyncio`` may).
any word, and a first line ``# name.ext``
    A file, to be saved under that name. A ``python`` one is run at once where nothing further
    down the page names it. Paths from the root are not saved.

A command that neither ends nor fails, but listens on one of the page's ports, is a server. It goes
on while the rest of the page is read, and gets SIGTERM at its end, or where another one wants its
port: a reader would press Ctrl-C. What is ours must end with exit code 0 then, and nothing may end
with a traceback. All well-known ports on a page (`ports.py`) are others, free ones, while it runs;
in what is compared they are the page's again.

What is not for the reader's eyes stands in comments of HTML. Alone, right above a fence::

    <!-- not run: it installs a package from an index -->   checked as far as it can be
    <!-- run by: tests/examples examples/router.py -->     that file, which that test runs
    <!-- test: continues -->   this Python block goes on where the one above it ended
    <!-- test: exit 1 -->      the last command of this block ends with that code
    <!-- test: output -->      the output of what is above, whatever the word behind the fence
    <!-- test: server -->      all that the newest server has printed so far, or soon will

With more lines it is a block that nobody sees, of the language that its first line names. A Python
one stands before the next visible one, in the same file; with ``continues`` it is run, behind all
of the one above::

    <!-- test: python
    storage = aiodicom.FileStorage("received")
    -->
    <!-- test: python continues
    assert seen == ["1.2.3"]
    -->
    <!-- test: sh
    openssl req -x509 ...
    -->

`blocks.py` finds the blocks, `commands.py` takes shell apart, `plan.py` makes steps of them,
`terminal.py` runs those, and `unrun.py` checks what is not run. ``python -m tests.docs PAGE`` does
it for one page.
"""
