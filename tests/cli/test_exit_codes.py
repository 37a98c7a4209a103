"""Every command ends with the codes that docs/command_line.md lists, and shows plain text where nobody looks on."""

from __future__ import annotations

import contextlib
import fcntl
import io
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from verl_hdpo.cli.main import main
from verl_hdpo.runs import terminal

PAGE = Path(__file__).parents[2] / "docs" / "command_line.md"
SIZE = ["size", "--gpus", "512", "--calls-per-rollout", "3", "--judge-share", "0.2"]


def leaves(group: click.Group, *before: str) -> dict[str, click.Command]:
    found = {}
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            found |= leaves(command, *before, name)
        else:
            found[" ".join([*before, name])] = command
    return found


COMMANDS = leaves(main)


def run(*words: str):
    return CliRunner().invoke(main, [*words])


def test_the_page_lists_every_command():
    table = re.search(r"<!-- exit codes -->(.*?)<!-- end -->", PAGE.read_text(), re.DOTALL)[1]
    assert re.findall(r"^\| `(.*?)` \|", table, re.MULTILINE) == sorted(COMMANDS)


def test_the_page_lists_every_command_with_json():
    listed = re.search(r"`--json` prints(.*?)\. What", PAGE.read_text(), re.DOTALL)[1]
    with_json = [name for name, command in COMMANDS.items() if any("--json" in one.opts for one in command.params)]
    assert re.findall(r"`(.*?)`", listed.partition(",")[2]) == sorted(with_json)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_is_0_and_bad_usage_is_2(name):
    assert run(*name.split(), "--help").exit_code == 0
    done = run(*name.split(), "--no-such-option")
    assert done.exit_code == 2 and "--no-such-option" in done.output


@pytest.mark.parametrize("group", ["", *sorted({name.rpartition(" ")[0] for name in COMMANDS if " " in name})])
def test_no_line_of_a_list_of_commands_is_cut(group, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    listed = run(*group.split(), "--help").stdout.partition("Commands:\n")[2]
    assert listed and "..." not in listed


@pytest.mark.parametrize("name", COMMANDS)
def test_ctrl_c_is_130(name, monkeypatch, tmp_path):
    """Whatever the command does when it comes."""

    def interrupted(*given, **more):
        raise KeyboardInterrupt

    monkeypatch.setattr(COMMANDS[name], "callback", interrupted)
    monkeypatch.setattr(COMMANDS[name], "params", [])
    done = run(*name.split())
    assert (done.exit_code, done.stderr) == (130, "Stopped.\n")


def test_ctrl_c_ends_a_process_with_130(tmp_path):
    answers = tmp_path / "answers.jsonl"
    os.mkfifo(answers)
    command = [sys.executable, "-m", "verl_hdpo", "grade", str(answers), "--out", str(tmp_path / "graded.jsonl")]
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    writer = None
    while writer is None and process.poll() is None:
        with contextlib.suppress(OSError):  # nobody reads it yet
            writer = os.open(answers, os.O_WRONLY | os.O_NONBLOCK)
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert (process.returncode, told) == (130, "Stopped.\n")


def shown(monkeypatch, columns, *words, **variables):
    """What a terminal of that width is sent."""
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "TERM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    with open(its, "w") as screen:
        monkeypatch.setattr(sys, "stdout", screen)
        monkeypatch.setattr(sys, "stderr", screen)
        monkeypatch.setenv("COLUMNS", str(columns))
        main([*words], standalone_mode=False)
        screen.flush()
        sent = b""
        while select.select([ours], [], [], 0.5)[0]:  # it comes in parts
            sent += os.read(ours, 1 << 20)
    text = sent.decode()
    monkeypatch.undo()
    os.close(ours)
    return text.replace("\r\n", "\n")


ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def test_a_terminal_of_80_columns_gets_colour_and_no_wider_table(monkeypatch):
    text = shown(monkeypatch, 80, *SIZE)
    assert "\x1b[1m" in text
    lines = ESCAPE.sub("", text).splitlines()
    assert "judges" in text and max(len(line) for line in lines[1:]) <= 80


def test_no_color_is_respected(monkeypatch):
    monkeypatch.setattr(terminal, "harmless", lambda text: text)
    text = shown(monkeypatch, 80, *SIZE, NO_COLOR="1")
    assert not re.search(r"\x1b\[(3|4|9)\d", text)


def test_a_pipe_gets_markdown_whatever_its_width():
    text = run(*SIZE).stdout
    assert "\x1b" not in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) == 8 and len({line.count("|") for line in rows}) == 1


def test_what_goes_into_a_pipe_is_not_cut_and_obeys_nothing(capsys):
    terminal.say("x" * 20_000)
    terminal.say("\x1b[31mred [bold]")
    terminal.show_json({"long": "y" * 20_000, "nothing": float("nan")})
    out = capsys.readouterr().out
    assert "x" * 20_000 + "\n" in out and "␛[31mred [bold]\n" in out
    assert "y" * 20_000 in out and '"nothing": null' in out


def test_a_cell_may_hold_a_bar(capsys):
    terminal.show_table(["a", "b"], [["x|y", "1"]])
    assert r"x\|y" in capsys.readouterr().out


def test_findings_keep_their_margin_in_a_narrow_terminal(monkeypatch):
    from verl_hdpo.runs.finding import Finding, print_findings

    screen = io.StringIO()
    made = terminal.Console(file=screen, force_terminal=True, color_system=None, width=60)
    monkeypatch.setattr(terminal, "console", lambda err=False: made)
    print_findings([Finding("A", "FAIL", "one", "word " * 20, ("do " * 20,))])
    lines = screen.getvalue().splitlines()
    assert max(map(len, lines)) <= 60
    assert all(line.startswith(" " * 30) for line in lines[3:])
