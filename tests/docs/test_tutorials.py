"""What docs/tutorials shows: its scripts and commands are run as they stand there, and say what it quotes."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import completions_server
import pandas
import pytest
import yaml
from click.testing import CliRunner
from composed import composed
from omegaconf import OmegaConf
from pages import BLOCK, ROOT
from tiny import save_checkpoint_without_weights

from verl_hdpo.adapters.override_problems import compose_telling_all
from verl_hdpo.cli.main import main
from verl_hdpo.compare.verdict import verdicts

pytestmark = pytest.mark.slow

TUTORIALS = ROOT / "docs" / "tutorials"
QUICKSTART = ROOT / "examples" / "quickstart"
START = Path("outputs/quickstart/cold-start-seed1")
NAMED = re.compile(r"`(make_\w+\.py)`")


def code(page, *languages):
    """The page's blocks of code in one of the languages."""
    return [block[2] for block in BLOCK.finditer((TUTORIALS / page).read_text()) if block[1] in languages]


def commands(page, start):
    """The words of each of the page's commands that begins with ``start``, without ``verl-hdpo``."""
    lines = "".join(code(page, "bash")).replace("\\\n", " ").splitlines()
    found = [shlex.split(line)[1:] for line in lines if line.startswith(f"verl-hdpo {start}")]
    assert found, f"{page} has no verl-hdpo {start}"
    return found


def run(words):
    return CliRunner().invoke(main, words)


def save_script(page):
    """Save and run the page's only script, under the name that the page gives it."""
    (script,) = code(page, "python")
    name = NAMED.search((TUTORIALS / page).read_text())[1]
    Path(name).write_text(script)
    subprocess.run([sys.executable, name], check=True)


def quoted_lines(page, start=""):
    return [line for block in code(page, "text") for line in block.splitlines() if line.startswith(start)]


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A folder that has the checkout's examples, and is the working directory."""
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VERL_PLATFORM", "")  # commands set it; so it is put back afterwards
    monkeypatch.delenv("VERL_PLATFORM")
    return tmp_path


@pytest.fixture
def questions(monkeypatch):
    """The quickstart's questions."""
    monkeypatch.syspath_prepend(str(QUICKSTART))
    import questions

    yield questions
    sys.modules.pop("questions", None)


@pytest.fixture
def cold_start(checkout, questions):
    """What the first run leaves, without the weights of its model."""
    save_checkpoint_without_weights(START / "model")
    dealt = questions.split(1)
    for name in ("train", "validation"):
        rows = [question.row(index) for index, question in enumerate(getattr(dealt, name))]
        pandas.DataFrame(rows).to_parquet(START / f"{name}.parquet")


class TestFirstRun:
    @pytest.fixture
    def measured(self):
        """Algorithm -> validation before and after, as the quickstart's own page has them."""
        found = {}
        row = r"^\| (\w+) \([\d, ]+\) \| (needs (?:no|the) tool) \| ([\d.]+).*?\| ([\d.]+).*?\| ([\d.]+).*?\| ([\d.]+)"
        for algo, kind, *values in re.findall(row, (QUICKSTART / "README.md").read_text(), re.MULTILINE):
            before, after = found.setdefault(algo, ({}, {}))
            short = "not_needed" if "no" in kind else "needed"
            shares = [float(value) / 100 for value in values]
            for name, (was, now) in (("tool_rate", shares[:2]), ("accuracy", shares[2:])):
                before[f"{name}_{short}"], after[f"{name}_{short}"] = was, now
        return found

    @pytest.fixture
    def screen(self, monkeypatch):
        monkeypatch.syspath_prepend(str(QUICKSTART))
        import last_screen
        import report

        yield last_screen, report
        for name in ("last_screen", "report", "questions", "training"):
            sys.modules.pop(name, None)

    def test_its_screens_are_those_of_the_measured_runs(self, measured, screen):
        last_screen, report = screen
        quoted = quoted_lines("first_run.md")
        assert f"before training: {report._line(measured['hdpo'][0])}" in quoted
        assert {line for line, _ in last_screen.verdict("hdpo", *measured["hdpo"])} <= set(quoted)
        assert last_screen.verdict("grpo", *measured["grpo"])[0][0] in quoted

    def test_its_files_are_those_of_a_run(self):
        made = "".join((QUICKSTART / name).read_text() for name in ("experiment.py", "last_screen.py", "training.py"))
        listed = re.findall(r"^\| `([\w.]+)/?` \|", (TUTORIALS / "first_run.md").read_text(), re.MULTILINE)
        assert len(listed) == 5 and all(f'"{name}"' in made or f"={name}" in made for name in listed)
        ((_, dump, *_),) = commands("first_run.md", "look")
        assert dump == "outputs/quickstart/hdpo-seed1/rollouts"
        assert '"{args.algo}-seed{args.seed}"' in made and 'ROLLOUT_DUMP, VALIDATION_DUMP = "rollouts"' in made


class TestCompare:
    @pytest.fixture
    def file(self, checkout):
        (text,) = code("compare.md", "yaml")
        Path("comparison.yaml").write_text(text)
        return yaml.safe_load(text)

    def test_its_overrides_are_keys_of_verl(self, file):
        _, problems = compose_telling_all("ppo_trainer", None, None, file["overrides"])
        assert not problems, problems
        keys = [override.split("=")[0] for override in file["overrides"]]
        assert all(OmegaConf.select(composed(), key, default=...) is not ... for key in keys)

    def test_a_wrong_knob_is_told_as_quoted(self, file):
        done = run(next(words for words in commands("compare.md", "compare") if "--algos" in words))
        (quoted,) = quoted_lines("compare.md", "Error: ")
        assert done.exit_code == 2 and quoted.removesuffix("...") in done.output

    @pytest.mark.slow
    def test_its_dry_run_prints_both_commands(self, file, cold_start):
        words = commands("compare.md", "compare")[0]
        assert words[-1] == "--dry-run"
        # This tokenizer has a token for each byte, so the tools take more of a prompt.
        command = [sys.executable, "-m", "verl_hdpo", *words, "--", "data.max_prompt_length=1024"]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        for quoted in quoted_lines("compare.md", ("# ", "python ")):
            parts = [re.escape(part) for part in quoted.split("...")]
            assert re.search("^" + ".*".join(parts) + "$", done.stdout, re.MULTILINE), quoted
        assert not Path(file["out"]).exists()

    def test_its_verdict_is_that_of_the_recorded_comparison(self):
        rows = pandas.read_csv(ROOT / "docs" / "comparison" / "quickstart" / "summary.csv")
        rows = rows[rows.variant.isin(["grpo", "hdpo"])].set_index(["source", "variant", "metric"])
        words = [verdict.words for verdict in verdicts(rows)]
        assert len(words) == 2 and set(words) <= set(quoted_lines("compare.md"))


class TestEvaluate:
    @pytest.fixture
    def server(self, cold_start, questions):
        """A model that calls on every question, and knows by heart those that need no tool."""
        known = {question.text: question.answer for question in questions.load("not_needed")}

        def write(prompt, request):
            if told := re.search(r"<tool_response>\n(.*?)\n", prompt):
                return f"<answer>{told[1]}</answer>"
            asked = re.findall(r"What is [^?]*\?", prompt)[-1]
            arguments = {"expression": asked.removeprefix("What is ").removesuffix("?")}
            call = f"\n{json.dumps({'name': 'calculator', 'arguments': arguments})}\n</tool_call>"
            if prompt.endswith("<tool_call>"):
                return call
            return f"<answer>{known.get(asked, 0)}</answer>" if request.get("logit_bias") else f"<tool_call>{call}"

        with completions_server.serving(write) as server:
            yield server

    def test_its_commands_measure_as_quoted(self, server):
        save_script("evaluate.md")
        (row,) = code("evaluate.md", "json")
        assert Path("questions.jsonl").read_text().startswith(row)
        (words,) = commands("evaluate.md", "eval")
        assert "http://localhost:8000" in words
        # This server's tokenizer has a token for each byte, so a dialogue is longer.
        longer = ["data.max_prompt_length=1024", "data.max_response_length=512"]
        done = run([server.url if word == "http://localhost:8000" else word for word in words] + longer)
        assert done.exit_code == 0, done.output
        printed = [" ".join(line.split()) for line in done.output.splitlines()]
        table = printed[next(i for i, line in enumerate(printed) if line.startswith("| not_needed ")) :]
        quoted = [" ".join(line.split()) for line in quoted_lines("evaluate.md", "| ")]
        assert quoted and [line for line in quoted if line not in table] == []
        needed = json.loads(Path("outputs/first_eval/figures.json").read_text())["models"]["start"]["needed"]
        assert (needed["accuracy_without"]["value"], needed["needless"]["value"]) == (0, 0)
        (words,) = commands("evaluate.md", "look")
        shown = run(words)
        assert shown.exit_code == 0 and shown.output.count("user: What is") == 2, shown.output


class TestAudit:
    @pytest.fixture(autouse=True)
    def dump(self, checkout):
        save_script("audit.md")

    def test_the_audit_says_what_is_quoted(self):
        (words,) = commands("audit.md", "audit")
        done = run(words)
        assert done.exit_code == 1, done.output
        looked_at = {line for line in quoted_lines("audit.md", "| ") if "✓" in line or "outcome" in line}
        quoted = [line for line in quoted_lines("audit.md") if line not in looked_at and not line.startswith("|--")]
        assert len(quoted) > 10 and [line for line in quoted if line not in done.output.splitlines()] == []

    def test_look_shows_what_is_quoted(self):
        page, terminal = commands("audit.md", "look")
        shown = run(terminal)
        quoted = [line for line in quoted_lines("audit.md", "| ") if "✓" in line]
        assert quoted and [line for line in quoted if line not in shown.output.splitlines()] == []
        assert run(page).output.startswith("look.html: 9 rollouts")
        named = re.search(r"look\.html#r=([\w:]+)", (TUTORIALS / "audit.md").read_text())[1]
        cut = next(one for one in json.loads(run([*page, "--json"]).output) if one["id"] == named)
        assert (cut["outcome"], cut["question"]) == ("wrong", "What is 4831 * 977?")


class TestYourOwnTool:
    PAGE = TUTORIALS / "your_own_tool.md"

    @pytest.fixture(autouse=True)
    def files(self, tmp_path, monkeypatch):
        """The tutorial's three files, under the names that it gives them."""
        monkeypatch.chdir(tmp_path)
        monkeypatch.syspath_prepend(tmp_path)
        texts, (source,), (config, _) = (code(self.PAGE.name, name) for name in ("text", "python", "yaml"))
        for name, text in (("handbook.txt", texts[0]), ("handbook.py", source), ("tools.yaml", config)):
            assert f"`{name}`" in self.PAGE.read_text()
            Path(name).write_text(text)
        yield
        sys.modules.pop("handbook", None)

    def test_its_calls_answer_as_quoted(self):
        found, refused, gone = commands("your_own_tool.md", "tools call")
        _, answer, mistake, outage = code("your_own_tool.md", "text")
        assert (done := run(found)).exit_code == 0 and done.stdout.strip() == answer.strip()
        assert (done := run(refused)).exit_code == 1 and done.stdout == mistake
        Path("handbook.txt").rename("gone.txt")
        assert (done := run(gone)).exit_code == 1 and done.stdout == outage

    def test_its_variant_is_a_second_tool(self):
        config, more = code("your_own_tool.md", "yaml")
        Path("tools.yaml").write_text(config + more)
        Path("rules.txt").write_text("No dogs.\nNotice the door.\n")
        done = run(["tools", "call", "rules", "Notice", "--config", "tools.yaml"])
        assert done.exit_code == 0 and done.stdout.strip() == "Notice the door."

    def test_its_tool_is_that_of_the_reference(self):
        page = (ROOT / "docs" / "tools" / "your_own_tool.md").read_text()
        assert all(block in page for block in (*code(self.PAGE.name, "python"), code(self.PAGE.name, "yaml")[0]))
