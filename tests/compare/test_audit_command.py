"""``verl-hdpo audit`` as a command: its exit codes, its JSON, and what it refuses."""

import json
from urllib.parse import unquote

import pytest
from click.testing import CliRunner
from dumps import BARE, write_dump
from planted import SCENES, clean, trl, verifiers

from verl_hdpo.cli.main import main
from verl_hdpo.evaluation.record import Record, RecordFile

ROWS = [{"question": "a", "text": "4", "score": 1.0, "n": 1}, {"question": "a", "text": "five", "score": 0.0, "n": 0}]
COLUMNS = "prompt=question,answer=text,reward=score,calls=n"


def run(*words, command="audit"):
    return CliRunner().invoke(main, [command, *map(str, words)], env={"COLUMNS": "120"})


def lines_of(path, rows=ROWS):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_a_clean_dump_ends_with_0_and_says_so(tmp_path):
    done = run(verifiers(clean(), tmp_path))
    assert done.exit_code == 0, done.output
    assert "No defects found." in done.output and "cities" in done.output


def test_a_defect_ends_with_1_and_its_example_is_opened_by_look(tmp_path):
    path = trl(SCENES["truncated answers"](), tmp_path)
    done = run(path)
    assert done.exit_code == 1
    line = next(line for line in done.output.splitlines() if "examples: #r=" in line)
    assert unquote(line.partition("#r=")[2]) == "completions_00001:1"
    page = tmp_path / "look.jsonl"
    assert run(path, "--export", "atif", "--out", page, command="look").exit_code == 0
    assert "completions_00001:1" in page.read_text()


def test_json_has_every_number(tmp_path):
    done = run(trl(SCENES["groups of one"](), tmp_path), "--json", "--algos", "hdpo,priced[price=0.2]")
    found = json.loads(done.output)
    assert done.exit_code == 1
    (source,) = found["sources"]
    assert [row["label"] for row in source["algorithms"]] == ["grpo", "hdpo", "priced[price=0.2]"]
    assert source["algorithms"][2]["price_points"] == pytest.approx(20, abs=0.1)
    assert [defect["kind"] for defect in found["defects"]] == ["groups of one"]


def test_columns_of_any_table(tmp_path):
    path = lines_of(tmp_path / "rows.jsonl")
    found = json.loads(run(path, "--columns", COLUMNS, "--json").output)
    (source,) = found["sources"]
    assert (source["rollouts"], source["groups"], source["tool_use"]) == (2, 1, 0.5)
    assert found["defects"] == []
    done = run(path, "--columns", COLUMNS, "--out", tmp_path / "look.html", command="look")
    assert "2 rollouts" in done.output


def test_records_of_eval_are_not_trained_on(tmp_path):
    file = RecordFile(tmp_path / "base" / "records.jsonl", {"model": "m", "ban_calls": False})
    file.add(Record("free", 0, 0, "capitals", 1, True, BARE))
    file.add(Record("without", 0, 0, "capitals", 0, True, "<answer>Lima</answer>"))
    file.add(Record("free", 1, 0, "capitals", 0, None, "a judge was down"))
    done = run(tmp_path, "--json")
    assert done.exit_code == 0
    (source,) = json.loads(done.output)["sources"]
    assert (source["needless"]["count"], source["unknown"]) == (1, 1)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("nowhere",), "nowhere does not exist"),
        (("rows.jsonl",), "rows.jsonl is of no known format"),
        (("rows.jsonl", "--columns", "prompt=question"), "answer, reward missing"),
        (("rows.jsonl", "--columns", "prompt"), "'prompt' is not meaning=column"),
        (("rows.jsonl", "--columns", COLUMNS.replace("=n", "=tools")), "line 1 has no column tools"),
        (("bad.parquet",), "bad.parquet cannot be read as Parquet"),
        (("bad.jsonl",), "line 1 is not valid JSON"),
        (("rows.jsonl", "--columns", COLUMNS, "--algos", "hdpa"), "hdpa is not an algorithm of this package"),
        (("rows.jsonl", "--columns", COLUMNS, "--algos", "ikea"), "ikea cannot be replayed"),
        (("rows.jsonl", "--columns", COLUMNS, "--algos", ""), "--algos: name at least one algorithm"),
        (
            ("rows.jsonl", "--columns", COLUMNS.replace("=score", "=text")),
            "text (reward) has no number in 2 rows",
        ),
        (
            ("rows.jsonl", "--columns", COLUMNS.replace("=n", "=text")),
            "text (calls) has no number in 2 rows, e.g. '4'",
        ),
        (("rows.jsonl", "--columns", COLUMNS.replace("=n", "=minus")), "line 1, column minus: calls must be a whole"),
        (("rows.jsonl", "--columns", COLUMNS.replace("=n", "=huge")), "line 1, column huge: calls must be a whole"),
        (("rows.jsonl", "--columns", COLUMNS.replace("=n", "=half")), "line 1, column half: calls must be a whole"),
        (
            ("rows.jsonl", "--columns", COLUMNS.replace("prompt", "promt")),
            "'promt' is an unknown meaning",
        ),
        (("table.csv",), "table.csv is not a dump: a dump is .jsonl or .parquet"),
        (("late.jsonl",), "late.jsonl, line 2 is not valid JSON"),
        (("list.jsonl",), "list.jsonl, line 1: must hold one JSON object per line, found list"),
        (("trl.jsonl",), "which column tells what is right? Found a, b"),
    ],
)
def test_bad_input_is_one_line_and_2(words, why, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lines_of(tmp_path / "rows.jsonl", [row | {"minus": -5, "huge": 1e300, "half": 0.5} for row in ROWS])
    (tmp_path / "table.csv").write_text("a,b\n")
    (tmp_path / "late.jsonl").write_text('{"a": 1}\n{\n{}\n')
    (tmp_path / "list.jsonl").write_text("[1]\n")
    lines_of(tmp_path / "trl.jsonl", [{"step": 1, "prompt": "p", "completion": "c", "a": 1, "b": 0, "advantage": 0}])
    (tmp_path / "bad.parquet").write_bytes(b"no table")
    (tmp_path / "bad.jsonl").write_text("{\n")
    done = run(*words)
    assert (done.exit_code, len(done.output.splitlines())) == (2, 1), done.output
    assert why in done.output


@pytest.mark.parametrize("score", [None, "1.0", [1.0], float("nan")], ids=str)
def test_a_dump_without_one_known_outcome_is_told_so(tmp_path, score):
    row = {"input": "q", "output": BARE, "score": score, "step": 1}
    lines_of(tmp_path / "1.jsonl", [row] * 4)
    done = run(tmp_path)
    assert done.exit_code == 2 and "not one outcome is known: none of 4 rollouts has" in done.output, done.output


def test_a_dump_in_another_encoding_is_not_called_empty(tmp_path):
    (tmp_path / "1.jsonl").write_text('{"input": "q"}', encoding="utf-16")
    done = run(tmp_path)
    assert done.exit_code == 2 and "1.jsonl, line 1 is not valid JSON; it is text in UTF-16" in done.output


def test_hostile_texts_reach_no_terminal(tmp_path):
    write_dump(tmp_path, 1, [("u\x1b[31m_0_0", BARE, 1.0)])
    assert "\x1b" not in run(tmp_path).output
