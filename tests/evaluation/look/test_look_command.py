"""``verl-hdpo look`` as a command."""

import json

import pytest
from click.testing import CliRunner
from dumps import BARE, note, write_dump, write_notes

from verl_hdpo.cli.main import main

DIRECT = "<answer>Lima</answer>"


@pytest.fixture
def dump(tmp_path):
    written = write_dump(tmp_path / "run", 1, [("u_0_0", BARE, 1.0), ("u_1_0", DIRECT, 1.0), ("u_2_0", "Quito", 0.0)])
    write_notes(written, [note("u_0_0"), note("u_1_0", calls=0, call_log=[]), note("u_2_0", calls=0, correct=False)])
    return tmp_path / "run"


def look(*arguments):
    return CliRunner().invoke(main, ["look", *map(str, arguments)], env={"COLUMNS": "160"})


def test_a_page_is_written_and_told(dump, tmp_path):
    page = tmp_path / "new" / "page.html"
    done = look(dump, "--out", page)
    assert done.exit_code == 0
    assert done.output.startswith(f"{page}: 3 rollouts, 0.0 MB; open it in a browser")
    text = page.read_text()
    assert "<!--" not in text  # every mark of the template is filled
    assert "Lima" not in text.replace("Rollouts of", "")  # packed
    assert "://" not in text


def test_the_terminal_shows_what_is_asked_for(dump):
    done = look(dump, "--tty", "--only", "needless")
    assert done.exit_code == 0
    assert "I look." in done.output
    assert "Quito" not in done.output


@pytest.mark.parametrize(("form", "key"), [("atif", "schema_version"), ("otel", "resourceSpans")])
def test_exports(dump, tmp_path, form, key):
    out = tmp_path / "out.jsonl"
    done = look(dump, "--export", form, "--out", out, "--only", "correct")
    assert done.output == f"{out}: 2 lines of {form}\n"
    assert all(key in json.loads(line) for line in out.read_text().splitlines())


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["nowhere"], "nowhere does not exist; name the folder"),
        (["--steps", "x"], "give one step, such as 12"),
        (["--steps", "7"], "no rollouts of the steps 7:7"),
        (["--only", "lost", "--tty"], "none of the 3 rollouts is lost; leave out --only"),
        (["--only", "lost"], "--only goes with --tty, --json or --export"),
        (["--tty", "--export", "atif"], "give one of them"),
        (["--out", "."], "is a folder; name a file in it"),
        (["--out", "run/1.jsonl"], "run/1.jsonl lies in the input folder"),
        (["--steps", "20:10"], "the first step is after the last; write 10:20"),
        (["--limit", "3"], "--limit only goes with --tty"),
        (["--json", "--out", "x.html"], "--out does not go with --json"),
    ],
)
def test_a_wrong_input_gets_one_line(dump, tmp_path, monkeypatch, arguments, told):
    monkeypatch.chdir(tmp_path)
    done = look(*(arguments if arguments == ["nowhere"] else [dump, *arguments]))
    assert done.exit_code == 2
    assert told in done.output
    assert "Traceback" not in done.output
    assert not (tmp_path / "look.html").exists()


def test_a_dump_is_not_written_over(dump, tmp_path):
    before = (dump / "1.jsonl").read_bytes()
    (tmp_path / "link.jsonl").symlink_to(dump / "1.jsonl")
    for out in (dump / "1.jsonl", tmp_path / "link.jsonl"):
        done = look(dump / "1.jsonl", "--out", out)
        assert done.exit_code == 2 and f"--out {out} is an input of this command" in done.output
    assert (dump / "1.jsonl").read_bytes() == before


def test_an_export_does_not_take_the_name_of_the_page(dump, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert look(dump).exit_code == look(dump, "--export", "atif").exit_code == 0
    assert "<html" in (tmp_path / "look.html").read_text() and (tmp_path / "look.atif.jsonl").exists()


def test_files_that_are_no_rollouts_are_named(dump, tmp_path):
    (dump / "metrics.jsonl").write_text('{"loss": 1}\n')
    done = look(dump, "--out", tmp_path / "page.html")
    assert f"Not rollouts, passed over: {dump / 'metrics.jsonl'}" in done.output


def test_the_figures_as_json(dump, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (row,) = json.loads(look(dump, "--json", "--only", "needless").output)
    assert (row["need"], row["outcome"], row["calls"], row["number"]) == ("needless", "correct", 1, 0)
    assert not (tmp_path / "look.html").exists()
