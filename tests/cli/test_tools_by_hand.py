"""``verl-hdpo tools call`` and ``verl-hdpo index search``."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from verl_hdpo.cli.main import main

DRAWS = """
from PIL import Image

from verl_hdpo.tools.base import Answer, Tool
from verl_hdpo.tools.schema import Signature
from verl_hdpo.tools.failures import ToolUnavailable


class Draws(Tool):
    kind = "draws"
    signature = Signature.of_texts("draws", "Draws.", width="pixels", height="pixels")

    async def answer(self, arguments, call):
        if arguments["width"] == "0":
            raise ToolUnavailable("no paper")
        size = int(arguments["width"]), int(arguments["height"])
        return Answer(f"after {len(call.images)}", [Image.new("RGB", size)])
"""


def call(*words):
    return CliRunner().invoke(main, ["tools", "call", *map(str, words)])


@pytest.fixture
def draws(tmp_path, monkeypatch):
    (tmp_path / "draws_here.py").write_text(DRAWS)
    (tmp_path / "tools.yaml").write_text("tools: [{class_name: draws_here.Draws, config: {type: native}}]")
    monkeypatch.chdir(tmp_path)
    return ["draws", "--config", "tools.yaml"]


def test_text_is_the_one_argument_of_a_tool_and_an_object_is_all_of_them():
    done = call("calculator", "17 * 23", '{"expression": "2 ** 10"}')
    assert (done.exit_code, done.stdout) == (0, "391\n1024\n")


def test_a_call_that_the_tool_refuses_is_1():
    done = call("calculator", "1 / 0", "1 + 1", "--json")
    failed, ok = json.loads(done.stdout)
    assert (done.exit_code, failed["status"], ok["status"], ok["text"]) == (1, "failed", "ok", "2")


def test_a_tool_of_one_s_own_with_pictures(draws, tmp_path):
    from PIL import Image

    done = call(*draws, '{"width": "4", "height": "3"}', "--out", "pictures")
    assert done.exit_code == 0, done.output
    assert "after 0" in done.output
    with Image.open(tmp_path / "pictures" / "call1_1.png") as picture:
        assert picture.size == (4, 3)
    again = call(*draws, '{"width": "4", "height": "3"}', "--image", "pictures/call1_1.png")
    assert "after 1" in again.output and "--out FOLDER keeps them" in again.output
    assert call(*draws, '{"width": "0", "height": "3"}').output == "unavailable: no paper\n"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["pyton", "1"], "no tool of this package is called pyton; did you mean python?"),
        (["other", "1"], "text_search. Your own: a tool yaml"),
        (["calculator", "1", "--image", "tools.yaml"], "--image tools.yaml: not an image in one of the formats"),
        (["mcp", "1"], "mcp needs settings: give a tool yaml with --config"),
        (["other", "1", "--config", "tools.yaml"], "tools.yaml has no tool other; known: draws"),
        (["draws", "4", "--config", "tools.yaml"], "draws takes width, height: give a JSON object, found '4'"),
    ],
)
def test_what_cannot_be_called_is_told(draws, words, told):
    done = call(*words)
    assert done.exit_code == 2 and told in done.output, done.output


@pytest.mark.slow
def test_a_sandbox_that_isolates_is_no_warning(caplog):
    assert call("python", "print(6 * 7)").stdout == "42\n"
    assert not caplog.records


@pytest.fixture(scope="module")
def capitals(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    rows = [{"id": "pe", "title": "Peru", "text": "Lima is the capital."}, {"id": "ec", "text": "Quito is in Ecuador."}]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    built = ["index", "build", str(folder / "rows.jsonl"), "--out", str(folder / "index"), "--threads", "1"]
    assert CliRunner().invoke(main, built).exit_code == 0
    return folder / "index"


def search(index, query, *options):
    return CliRunner().invoke(main, ["index", "search", query, "--index", str(index), *options])


def test_a_search_shows_the_best_with_scores(capitals):
    (best,) = json.loads(search(capitals, "capital of Peru", "--json").output)
    assert best == {
        "score": pytest.approx(best["score"]),
        "title": "Peru",
        "text": "Lima is the capital.",
        "source": "pe",
    }
    assert best["score"] > 0
    text = search(capitals, "capital of Peru").output
    assert "[1] Peru\n" in text and "source pe" in text and "Quito" not in text
    assert search(capitals, "nothing of it").output == "No results.\n"


def test_a_folder_without_an_index_is_told(tmp_path):
    done = search(tmp_path, "x")
    assert done.exit_code == 2 and f"{tmp_path} is not an index" in done.output
    done = search(tmp_path / "nowhere", "x")
    assert done.exit_code == 2 and "nowhere does not exist; build it with verl-hdpo index build" in done.output
