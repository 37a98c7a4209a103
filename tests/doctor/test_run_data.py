"""What doctor says of the rows of a run, all of them, and of the agent loops and tools that they name."""

from __future__ import annotations

import json
import random

import pyarrow
import pyarrow.parquet
import pytest
from odd_images import animated, drawn, encoded
from run_findings import LOOP, MULTI_TURN, ROLLOUT, ROW, findings, marked, only, told

RULES = {"reward.custom_reward_function.path": None}
"""The answers are judged by the ``hdpo`` reward manager itself."""


def truth(value) -> dict:
    return {"reward_model": {"style": "rule", "ground_truth": value}}


def test_all_data_sources_are_listed(val_rows):
    found = findings(val_rows({}, {"data_source": "other"}, {}))
    assert "data_source: 'toy' (2 rows), 'other' (1 row)" in told(found, "data.val_files")


@pytest.mark.parametrize("column", ["prompt", "data_source", "reward_model"])
def test_what_a_later_row_lacks_is_told_with_its_number_and_how_many_there_are(val_rows, column):
    run = val_rows({}, {}, {column: None}, {column: None})
    text = only(marked("FAIL", run)).found
    assert "rows.jsonl, row 2 and 1 more has no" in text and column.partition("_")[0] in text


def test_mixed_schemas_are_warned_of(val_rows):
    text = only(marked("warn", val_rows({}, {"split": "x"}))).found
    assert "mixed schemas" in text and "row 1" in text and "split" in text


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        ("a.jsonl", "", "has no rows"),
        ("a.json", "{", "cannot be read"),
        ("a.parquet", "x", "cannot be read"),
        ("a.csv", "x", "neither .parquet nor .json nor .jsonl"),
    ],
)
def test_a_file_that_verl_cannot_read(run, tmp_path, name, content, text):
    (tmp_path / name).write_text(content)
    found = only(marked("FAIL", {**run, "data.val_files": tmp_path / name}))
    assert text in found.found or "not valid JSON" in found.found


def test_files_whose_columns_have_other_types_are_told(run, tmp_path):
    numbers = [{**ROW, **truth(4)}] * 8
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(numbers), tmp_path / "numbers.parquet")
    run["data.train_files"] = f"[{run['data.train_files']},{tmp_path / 'numbers.parquet'}]"
    finding = only(marked("FAIL", run))
    assert "numbers.parquet does not go together with the files before it" in finding.found
    assert "ground_truth" in finding.found and "int64" in finding.found


def test_a_file_that_does_not_exist_is_told_once(run):
    for files in ("/no/train.parquet", "[/no/train.parquet]"):
        assert "/no/train.parquet does not exist" in only(marked("FAIL", {**run, "data.train_files": files})).found


@pytest.mark.parametrize("files", ["null", "[]"])
def test_a_run_without_data_is_told_so(run, files):
    assert only(marked("FAIL", {**run, "data.train_files": files})).subject == "data.train_files"


def test_remote_files_are_not_counted(run):
    found = only(marked("warn", {**run, "data.train_files": "hdfs://a/b.parquet"}))
    assert "hdfs://a/b.parquet: remote, not looked into" in found.found


def test_too_few_rows(run):
    assert "8 rows do not fill one batch" in only(marked("FAIL", {**run, "data.train_batch_size": 16})).found


AGENTS = {
    "a null after the first row": (["hdpo_tool_agent", None], "row 1: agent_name is null", "fill it in every row"),
    "a wrong one after the first row": (
        ["hdpo_tool_agent", "tool_agnt"],
        "row 1: agent_name=tool_agnt is not",
        "tool_agent",
    ),
    "a list of names": ([["hdpo_tool_agent"]], "agent_name=['hdpo_tool_agent'] is not registered", "tool_agent"),
    "one that hdpo's manager cannot follow": (
        ["hdpo_tool_agent", "tool_agent"],
        "reward manager hdpo cannot tell the model's tokens from the tools' in agent loop tool_agent",
        "or drop the column",
    ),
}


@pytest.mark.parametrize("case", AGENTS)
def test_a_row_s_agent_loop_is_looked_at(val_rows, case):
    names, text, advice = AGENTS[case]
    finding = only(marked("FAIL", val_rows(*({"agent_name": name} for name in names))))
    assert text in finding.found and advice in " ".join(finding.advice)


def test_a_row_s_agent_loop_wins(val_rows):
    run = val_rows({"agent_name": "tool_agent"}, **{"reward.reward_manager.name": "naive"})
    found = marked("warn", run)
    assert "row 0: agent_name=tool_agent wins over default_agent_loop=hdpo_tool_agent" in only(found).found


def test_the_data_may_name_the_loop_that_verl_s_default_is_not(run, tmp_path):
    """No advice to set a default that the data overrule."""
    rows = "".join(json.dumps({**ROW, "agent_name": "hdpo_tool_agent"}) + "\n" for _ in range(8))
    (tmp_path / "rows.jsonl").write_text(rows)
    run |= dict.fromkeys(("data.train_files", "data.val_files"), tmp_path / "rows.jsonl")
    assert {finding.mark for finding in findings({**run, LOOP: None})} == {"ok"}


def test_a_setting_without_effect_is_warned_of_once_whatever_loops_there_are(val_rows):
    run = val_rows({"agent_name": "single_turn_agent"}, **{LOOP: "tool_agent", "reward.reward_manager.name": "naive"})
    found = [f for f in marked("warn", {**run, "+algorithm.hdpo.max_tool_calls": 3}) if "max_tool_calls" in f.found]
    assert "tool_agent or single_turn_agent" in only(found).found


DATASET = """
from verl.utils.dataset.rl_dataset import RLHFDataset

class Mine(RLHFDataset):
    def __getitem__(self, item):
        return super().__getitem__(item) | {"agent_name": "tool_agent"}
"""


def test_a_data_set_class_of_the_owner_s_is_made_and_asked(run, tmp_path):
    (tmp_path / "mine.py").write_text(DATASET)
    run |= {"+data.custom_cls.path": tmp_path / "mine.py", "+data.custom_cls.name": "Mine"}
    finding = only(marked("FAIL", run))
    assert "in agent loop tool_agent" in finding.found
    assert "or drop the column" in finding.advice[0]


def test_a_data_set_class_may_read_what_it_likes(run, tmp_path):
    (tmp_path / "mine.py").write_text(f"""
from torch.utils.data import Dataset

class Mine(Dataset):
    def __init__(self, data_files, **_):
        self.files = data_files

    def __len__(self):
        return 8

    def __getitem__(self, item):
        return {ROW!r}
""")
    run |= {"+data.custom_cls.path": tmp_path / "mine.py", "+data.custom_cls.name": "Mine"}
    run |= {"data.train_files": "owner/dataset", "data.val_files": tmp_path}
    assert not marked("FAIL", run)


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("import nothing_of_that_name", "No module named 'nothing_of_that_name' (mine.py, line 1)"),
        ("class Other: pass", "Mine"),
        ("raise SystemExit", "it ends the process by sys.exit()"),
        ("class Mine: pass", "must inherit from torch.utils.data.Dataset"),
    ],
)
def test_a_data_set_class_that_cannot_be_loaded(run, tmp_path, code, text):
    (tmp_path / "mine.py").write_text(code)
    run |= {"+data.custom_cls.path": tmp_path / "mine.py", "+data.custom_cls.name": "Mine"}
    finding = only(marked("FAIL", run))
    assert (finding.subject, text in finding.found) == ("data.custom_cls", True), finding


@pytest.mark.parametrize("value", [{"answer": ["4"]}, "", [], ["4", ["5"]], 0.10000000149011612], ids=str)
def test_a_ground_truth_that_no_answer_equals_is_named_with_its_row(val_rows, value):
    finding = only(marked("FAIL", val_rows({}, truth(value), truth(value), **RULES)))
    assert "rows.jsonl, row 1 and 1 more: the ground truth" in finding.found
    assert "write reward_model.ground_truth as a text, a number, or a list" in finding.advice[0]


@pytest.mark.parametrize("value", ["4", 4, 0.1, 0.5, ["4", "four"], {"target": ["4"]}, "Paris", "\\frac{1}{2}", 1e300])
def test_a_ground_truth_that_can_be_compared(val_rows, value):
    assert not marked("FAIL", val_rows(truth(value), **RULES))


def test_bytes_that_are_no_text_are_no_ground_truth(run, tmp_path):
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist([{**ROW, **truth(b"\xff")}] * 8), tmp_path / "b.parquet")
    finding = only(marked("FAIL", {**run, **RULES, "data.train_files": tmp_path / "b.parquet"}))
    assert "bytes that are not UTF-8" in finding.found


def test_many_rows_of_one_kind_are_one_finding(val_rows):
    rows = [truth({"answer": [str(n)]}) for n in range(500)]
    assert "row 0 and 499 more" in only(marked("FAIL", val_rows(*rows, **RULES))).found


def chosen(*names: str) -> dict:
    return {"extra_info": {"tool_selection": list(names)}}


def test_a_selection_of_no_tool_fails_and_one_of_some_is_warned_of(val_rows):
    run = val_rows(chosen("add"), chosen("subtract"), chosen("subtract", "add"))
    assert "row 1: extra_info.tool_selection names subtract" in only(marked("FAIL", run)).found
    assert "row 2: extra_info.tool_selection names subtract" in only(marked("warn", run)).found


def kwargs(**of: dict | None) -> dict:
    return {"extra_info": {"tools_kwargs": of}}


def test_arguments_for_no_tool_are_warned_of(val_rows):
    found = only(marked("warn", val_rows(kwargs(subtract={"create_kwargs": {}}))))
    assert "tools_kwargs has arguments for subtract; the tools are add" in found.found


NULLS = [kwargs(add=None), {"extra_info": {"tools_kwargs": None}}]
OWN = {LOOP: "tool_agent", "reward.reward_manager.name": "naive"}


@pytest.mark.parametrize("null", NULLS, ids=str)
def test_arguments_that_are_null_fail_in_verl_s_own_loop_alone(val_rows, null):
    rows = [kwargs(add={"create_kwargs": {"key": "1"}}), null, null]
    text = only(marked("FAIL", val_rows(*rows, **OWN))).found
    assert "row 1 and 1 more: extra_info.tools_kwargs" in text and "is null" in text
    assert not marked("FAIL", val_rows(*rows))


@pytest.mark.parametrize("none", [kwargs(), {"extra_info": {}}, {}], ids=str)
def test_json_rows_without_arguments_are_read_as_they_are(val_rows, none):
    assert not marked("FAIL", val_rows(kwargs(add={"create_kwargs": {"key": "1"}}), none, **OWN))


@pytest.mark.parametrize(
    ("extra_info", "text"),
    [
        ("{}", "has extra_info that is str, not an object"),
        ({"tools_kwargs": "{}"}, "has extra_info.tools_kwargs that is str, not an object: '{}'"),
        ({"tool_selection": "add"}, "has extra_info.tool_selection that is str, not a list: 'add'"),
    ],
)
def test_columns_that_were_written_as_text_are_named(val_rows, extra_info, text):
    assert text in only(marked("FAIL", val_rows({}, {"extra_info": extra_info}))).found


def test_parquet_fills_in_what_a_row_has_not(run, tmp_path):
    rows = [{**ROW, **kwargs(add={"create_kwargs": {"key": "1"}})}, {**ROW, **kwargs()}]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "k.parquet")
    run |= {"data.val_files": tmp_path / "k.parquet", **OWN}
    assert "row 1: extra_info.tools_kwargs of add is null" in only(marked("FAIL", run)).found


def test_a_name_on_the_hub_is_not_looked_up(run):
    found = findings({**run, "actor_rollout_ref.model.path": "Qwen/Qwen3-8B"})
    assert "Qwen/Qwen3-8B: taken as a name on the hub" in told(found, "model")
    assert {finding.mark for finding in found} == {"ok"}


def test_a_model_folder_without_a_model(run, tmp_path):
    (tmp_path / "empty").mkdir()
    assert (
        "has no config.json" in only(marked("FAIL", {**run, "actor_rollout_ref.model.path": tmp_path / "empty"})).found
    )


def test_a_chat_template_without_tools(run):
    run["actor_rollout_ref.model.custom_chat_template"] = "'{{messages}}'"
    assert "shows none of add, so the model cannot know of them" in only(marked("FAIL", run)).found


def test_a_prompt_whose_beginning_verl_would_cut_off(run):
    finding = only(marked("FAIL", {**run, "data.max_prompt_length": 100, f"{ROLLOUT}.prompt_length": 100}))
    assert "longer than actor_rollout_ref.rollout.prompt_length=100" in finding.found and "'toy'" in finding.found


def test_a_parser_that_reads_no_call_of_the_model_s_is_warned_of_with_one_that_does(run):
    finding = only(marked("warn", {**run, f"{MULTI_TURN}.format": "qwen3_coder"}))
    assert "format=qwen3_coder finds no call in what the model's chat template writes" in finding.found
    assert f"set {MULTI_TURN}.format=hermes, which does" in finding.advice[0]


def test_a_tokenizer_that_is_broken_is_told_once(run):
    path = run["actor_rollout_ref.model.path"]
    (path / "tokenizer.json").write_text("{")
    finding = only(marked("FAIL", run))
    assert f"the tokenizer in {path} cannot be loaded" in finding.found


LOOPS = {
    "a module that is not there": ("- {name: mine, _target_: nowhere.Loop}", "there is no module nowhere in"),
    "a class that is not there": ("- {name: mine, _target_: collections.Loop}", "has no Loop"),
    "no target": ("- {name: mine}", "entry 0 must have name and _target_"),
    "no list": ("name: mine", "must hold a list of loops"),
    "no yaml": ("- {", "cannot be read"),
}


@pytest.mark.parametrize("case", LOOPS)
def test_agent_loops_of_the_owner_s_are_imported(run, tmp_path, case):
    text, message = LOOPS[case]
    (tmp_path / "loops.yaml").write_text(text)
    run["actor_rollout_ref.rollout.agent.agent_loop_config_path"] = tmp_path / "loops.yaml"
    assert message in only(marked("FAIL", run)).found


def test_a_loop_of_the_owner_s_needs_no_tools_of_verl_s(run, tmp_path):
    (tmp_path / "loops.yaml").write_text(
        "- {name: mine, _target_: verl.experimental.agent_loop.tool_agent_loop.ToolAgentLoop}"
    )
    run |= {"actor_rollout_ref.rollout.agent.agent_loop_config_path": tmp_path / "loops.yaml", LOOP: "mine"}
    assert not marked("FAIL", {**run, f"{MULTI_TURN}.function_tool_path": None})


def test_a_loop_that_nobody_registered(run):
    found = only(marked("FAIL", {**run, LOOP: "tool_agnt"}))
    assert f"{LOOP}=tool_agnt is not registered" in found.found and "tool_agent" in found.advice[0]


def test_bad_images_are_told_with_the_numbers_of_their_rows(run, tmp_path):
    rng = random.Random(0)
    whole = {
        "prompt": [{"role": "user", "content": "<image>?"}],
        "images": [{"bytes": encoded(drawn("L", (9, 9), rng))}],
    }
    rows = [{**ROW, **whole} for _ in range(30)]
    for number in range(3, 29, 2):
        rows[number]["images"] = [{"bytes": b"<html>404</html>"}]
    rows[2]["images"] = [{"bytes": animated(rng)}]
    rows[4]["images"] = whole["images"] * 2
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "images.parquet")
    run["data.train_files"] = tmp_path / "images.parquet"
    found = findings(run)
    assert {finding.found.partition("images.parquet, ")[2] for finding in found} >= {
        "rows 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25 and 1 more: has image 0 that cannot be read: "
        "cannot identify it",
        "row 2: has image 0 that is animated: the model sees its first frame alone",
        "row 4: has 2 images and <image> 1 times in the prompt's texts",
    }
    (sightless,) = [finding for finding in found if "no processor" in finding.found]
    assert sightless.mark == "FAIL"
    assert sightless.found.startswith("30 rows have images, and verl makes no processor of")
