"""The terminal: stdout is for results alone, and neither stream carries orders of somebody else."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from rich.table import Table

from seqebm.cli import terminal

HEAD = "from seqebm.cli import terminal\nimport os, sys\nterminal.set_up()\n"


def python(code: str, **more) -> subprocess.CompletedProcess[str]:
    """Code after :data:`HEAD`, in a process of its own."""
    return subprocess.run(
        [sys.executable, "-c", HEAD + code], text=True, timeout=60,
        **{"capture_output": True, **more},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain ünï 語\t\n", "plain ünï 語\t\n"),
        ("\x1b[31mred", "\\u001b[31mred"),
        ("bell\x07, back\x08, return\r", "bell\\u0007, back\\b, return\\r"),
        ("turned \u202etxt.exe", "turned \\u202etxt.exe"),
        ("\udcff.wav", "\\udcff.wav"),
        ("\x9b31m", "\\u009b31m"),
    ],
)
def test_what_a_terminal_would_obey_is_shown(text, shown):
    assert terminal.printable(text) == shown
    assert json.loads(f'"{terminal.printable("x" + text[0])}"') == "x" + text[0]


def test_tables_are_not_cut_and_hold_no_markup(capsys):
    table = Table("file", "words", box=None)
    long = "[bold]" + "a" * 300 + ":smile:\n\x1b[2J.wav"
    table.add_row(terminal.cell(long), terminal.cell("one"))
    terminal.show(table)
    written = capsys.readouterr().out
    assert "[bold]" + "a" * 300 + ":smile:\\n\\u001b[2J.wav" in written and "one" in written
    assert "…" not in written and "..." not in written


def test_what_others_print_does_not_come_between_results():
    result = python(
        "@terminal.command\n"
        "def work():\n"
        "    print('a library')\n"
        "    os.write(1, b'a C library\\n')\n"
        "    os.system('echo a child')\n"
        "    terminal.print_json({'a': 1})\n"
        "    print('again')\n"
        "work()\n"
        "print('after')\n"
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout == '{"a": 1}\nafter\n'
    said = ["a library", "a C library", "a child", "again"]
    assert sorted(result.stderr.splitlines()) == sorted(said)


def test_results_that_cannot_be_written_are_an_error():
    if not os.path.exists("/dev/full"):
        pytest.skip("there is no /dev/full")
    code = (
        "from seqebm.errors import SeqebmError\n"
        "try:\n    terminal.command(terminal.print_line)('x')\n"
        "except SeqebmError as error:\n    terminal.say(str(error))\n"
    )
    with open("/dev/full", "w") as full:
        result = python(code, stdout=full, capture_output=False, stderr=subprocess.PIPE)
    assert "standard output: No space left on device" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_lead_nowhere(closed, tmp_path):
    """The next file that is opened must not become stdout."""
    code = f"{HEAD}file = open('f', 'w')\nterminal.print_line('x')\nterminal.say('y')\nfile.close()"
    done = subprocess.run(
        ["sh", "-c", f'"$0" -c "$1" {closed}', sys.executable, code],
        cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "f").read_text() == ""


def test_a_reader_that_has_enough_is_no_fault_to_tell_of():
    code = "for _ in range(100_000):\n    terminal.print_line('x' * 50)\nterminal.finish()"
    command = '"$0" -c "$1" | head -1'
    result = subprocess.run(
        ["sh", "-c", command, sys.executable, HEAD + code], capture_output=True, text=True
    )
    assert result.stdout == "x" * 50 + "\n"
    assert "standard output" not in result.stderr
