"""Curation: which rows each check drops, that it goes on where it stopped, and what it tells."""

from __future__ import annotations

import json

import pyarrow.parquet
import pytest
from click.testing import CliRunner
from local_service import Answer, serving
from odd_images import encoded
from PIL import Image

from verl_hdpo.cli.main import main
from verl_hdpo.evaluation.datasets.curation.trajectory import Trajectory

PICTURE = encoded(Image.new("RGB", (8, 6), "red"))


def call(code):
    return f"<tool_call>{json.dumps({'name': 'python', 'arguments': {'code': code}})}</tool_call>"


def trajectory(*rounds, question="What is it?", answer="4", images=1):
    """``rounds``: pairs of code and what the trajectory says that came back."""
    messages = [{"role": "user", "content": "<image>" * images + question}]
    for code, seen in rounds:
        messages += [{"role": "assistant", "content": call(code)}, {"role": "user", "content": seen}]
    messages.append({"role": "assistant", "content": f"<answer>{answer}</answer>"})
    shown = sum(seen.count("<image>") for _, seen in rounds)
    return {"messages": messages, "images": [{"bytes": PICTURE}] * (images + shown)}


@pytest.fixture
def curated(tmp_path):
    """``curated(rows, *options)``: exit code, what was told, the kept rows' questions, and the report."""

    def run(rows, *options):
        source, out = tmp_path / "rows.parquet", tmp_path / "out.parquet"
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), source)
        done = CliRunner().invoke(main, ["curate", str(source), "--out", str(out), *options])
        kept = pyarrow.parquet.read_table(out).to_pylist() if out.exists() else []
        report = tmp_path / "out.report.md"
        return done.exit_code, done.output, kept, report.read_text() if report.exists() else ""

    return run


def test_a_trajectory_s_steps():
    (first, second) = Trajectory.of(trajectory(("a", "one <image>"), ("b", "two"))).steps()
    assert (first.code, first.seen, first.shown, first.images) == ("a", "one ", 1, 1)
    assert (second.code, second.seen, second.shown, second.images) == ("b", "two", 0, 2)


@pytest.mark.slow
def test_code_that_fails_or_says_something_else_is_dropped(curated):
    rows = [
        trajectory(("x = image_1.size\nprint(x)", "(8, 6)"), ("x[0] + 1", "<tool_response>\n9\n</tool_response>")),
        trajectory(("image_1.crop((0, 0, 4, 4))", "<image>"), ("image_2.size", "(8, 6)")),
        trajectory(("1 / 0", "ZeroDivisionError")),
        trajectory(("print(2 + 2)", "5")),
        trajectory(("image_1", "nothing")),
        trajectory(),
        trajectory(("object()", "<object object at 0x7f0011223344>")),
    ]
    code, output, kept, report = curated(rows, "--reexecute", "--timeout", "20")
    assert code == 0, output
    assert kept == [rows[number] for number in (0, 1, 5, 6)]
    assert "1 x its code fails" in report and "row 2: call 0: Traceback" in report
    assert "2 x its code says something else" in report and "row 3: call 0: '4', and the trajectory has '5'" in report


def chat(text):
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return Answer({"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]})


def asked(request):
    """Text of the last message, and its images."""
    content = request["messages"][-1]["content"]
    return "".join(part.get("text", "") for part in content), [part for part in content if part["type"] == "image_url"]


ROWS = [trajectory(question=question) for question in ("easy?", "hard?", "odd?")]


def test_what_is_always_solved_without_tools_is_dropped(curated):
    seen = []

    def answer(sent):
        request = sent.body
        text, images = asked(request)
        seen.append((text, len(images), request["messages"][0]["role"]))
        right = text == "easy?" or (text == "odd?" and len(seen) % 2)
        return chat(f"<answer>{4 if right else 5}</answer>")

    with serving(answer) as (_, url):
        options = ["--solver", url, "--solver-model", "m", "--tries", "4", "--concurrency", "1"]
        code, output, kept, report = curated(ROWS, *options)
        assert code == 0, output
        assert kept == ROWS[1:]
        assert "1 x solved 4 of 4 times without tools" in report
        assert seen[0][1:] == (1, "system") and len(seen) == 12
        assert curated(ROWS, *options)[0] == 0
        assert len(seen) == 12, "what was known was asked again"


def test_the_judge_s_reasons_and_an_outage(curated):
    replies = {"easy?": '{"relevant": true, "coherent": true, "reasoned": true, "why": "fine"}', "odd?": "hm"}
    replies["hard?"] = 'So: {"relevant": false, "coherent": true, "reasoned": true, "why": "looks at another thing"}'

    def answer(sent):
        return chat(next(reply for question, reply in replies.items() if question in asked(sent.body)[0]))

    with serving(answer) as (_, url):
        options = ["--judge", url, "--judge-model", "m"]
        code, output, kept, report = curated(ROWS, *options)
        assert (code, kept) == (1, [])
        assert (
            f"1 checks could not be made: 1 x the judge's reply cannot be read; most often: {url}/v1: hm; no parquet"
            in output
        )
        replies["odd?"] = replies["easy?"]
        code, output, kept, report = curated(ROWS, *options)
        assert code == 0, output
        assert kept == [ROWS[0], ROWS[2]]
        assert "1 x the judge finds it not relevant" in report and "row 1: looks at another thing" in report


def test_the_most_common_reason_is_in_the_line(curated):
    with serving(lambda sent: Answer({"detail": "no such model"}, 404)) as (_, url):
        code, output, kept, _ = curated(ROWS, "--solver", url, "--solver-model", "m", "--tries", "1")
    assert (code, kept) == (1, [])
    assert "3 checks could not be made: 3 x the solver gave no answer; most often: " in output
    assert f'{url}/v1: HTTP 404: {{"detail": "no such model"}}; no parquet was written' in output
    assert "out.report.md" in output


@pytest.mark.parametrize("option", ["solver", "judge"])
@pytest.mark.parametrize(
    ("url", "error"), [("http://127.0.0.1:9", "ConnectionRefusedError"), ("http://nowhere.invalid", "gaierror")]
)
def test_a_server_that_is_not_there_ends_it_at_once(curated, tmp_path, url, error, option):
    code, output, kept, report = curated(ROWS, f"--{option}", url, f"--{option}-model", "m")
    assert (code, kept, report) == (1, [], "")
    assert output.startswith(f"Error: no server at {url}/v1: {error}: ") and output.count("\n") == 1
    assert not (tmp_path / "out.verdicts.jsonl").exists()


def test_whether_a_server_is_there_is_asked_once_and_only_if_it_is_needed(curated):
    def answer(sent):
        return Answer({"data": []}) if sent.method == "GET" else chat("<answer>5</answer>")

    with serving(answer) as (service, url):
        options = ["--solver", url, "--solver-model", "m", "--tries", "2"]
        assert curated(ROWS, *options)[0] == 0
        assert [one.path for one in service.asked if one.method == "GET"] == ["/v1/models"]
    assert curated(ROWS, *options)[0] == 0, "all is known, and the server is not needed"


@pytest.mark.parametrize(
    ("row", "told"),
    [(trajectory(), "has code to run; leave out --reexecute"), ({"output": "4"}, "has code to run")],
)
def test_rows_that_a_check_does_not_concern_are_told(curated, row, told):
    code, output, kept, _ = curated([row], "--reexecute")
    assert (code, kept) == (2, []) and "no row of" in output and told in output


def test_an_empty_file_is_told(curated, tmp_path):
    table = pyarrow.Table.from_pylist(ROWS).slice(0, 0)
    pyarrow.parquet.write_table(table, tmp_path / "none.parquet")
    done = CliRunner().invoke(
        main, ["curate", str(tmp_path / "none.parquet"), "--out", str(tmp_path / "out.parquet"), "--reexecute"]
    )
    assert done.exit_code == 2
    assert done.output == f"Error: {tmp_path / 'none.parquet'} is empty; no parquet was written\n"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ((), "nothing to check"),
        (("--judge", "http://x"), "--judge-model"),
        (("--reexecute", "--api-key-env", "NO"), "NO"),
    ],
)
def test_options_that_do_not_fit(curated, options, told):
    code, output, _, _ = curated(ROWS, *options)
    assert code == 2 and told in output
