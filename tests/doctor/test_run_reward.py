"""What doctor says of the reward of a run: it is called with a right, a wrong and an empty answer."""

from __future__ import annotations

import pytest
from run_findings import ROW, findings, marked, only, told

KEYWORDS = "data_source, solution_str, ground_truth, extra_info=None"
PATH, MANAGER = "reward.custom_reward_function.path", "reward.reward_manager.name"


@pytest.fixture
def with_reward(run, tmp_path):
    """``with_reward(body)``: the run with a reward function of that body."""

    def made(body: str, manager: str = "hdpo", arguments: str = KEYWORDS, head: str = "", **overrides) -> dict:
        path = tmp_path / "scored.py"
        path.write_text(f"{head}\ndef compute_score({arguments}):\n    {body}\n")
        return {**run, PATH: path, MANAGER: manager, **overrides}

    return made


RIGHT = {
    "a number": "return float(ground_truth in solution_str)",
    "a bool": "return ground_truth in solution_str",
    "a dict": "return {'score': 0.5, 'acc': ground_truth in solution_str}",
    "numpy": "import numpy; return numpy.float32(ground_truth in solution_str)",
    "another form": "return float(solution_str.endswith(f'#### {ground_truth}'))",
}


@pytest.mark.parametrize("manager", ["hdpo", "naive", "rate_limited"])
@pytest.mark.parametrize("case", RIGHT)
def test_what_was_returned_is_shown(with_reward, manager, case):
    found = findings(with_reward(RIGHT[case], manager))
    assert {finding.mark for finding in found} == {"ok"}, found
    text = told(found, "reward")
    for part in ("'toy': answer '", "4", "correct, score", "5", "wrong, score", "empty answer: wrong, score 0"):
        assert part in text


def test_an_async_function_is_awaited(with_reward, tmp_path):
    run = with_reward("pass")
    (tmp_path / "scored.py").write_text(
        "async def compute_score(solution_str, **_):\n    return float('4' in solution_str)\n"
    )
    for manager in ("hdpo", "naive"):
        assert {finding.mark for finding in findings({**run, MANAGER: manager})} == {"ok"}


HDPO_WRONG = {
    "-1": ("return -1", "must return a score (and acc) in [0, 1], found {'score': -1}"),
    "text": ("return 'yes'", "found {'score': 'yes'}"),
    "a list": ("return [1]", "found {'score': [1]}"),
    "a dict without score": ("return {'acc': 1}", "returned {'acc': 1}, which has no 'score'"),
    "acc is text": ("return {'score': 1, 'acc': 'yes'}", "found {'score': 1, 'acc': 'yes'}"),
    "nothing": ("return None", "unknown"),
    "it raises": ("raise ValueError('boo')", "ValueError('boo')"),
    "always right": ("return 1.0", "every answer counts as correct"),
}
NAIVE_WRONG = {
    "a dict without acc": ("return {'score': 1.0}", "reward_extra_info has no key 'acc', only ['score']"),
    "a dict without score": ("return {'acc': 1}", "the reward raised KeyError: 'score'"),
    "acc is text": (
        "return {'score': 1.0, 'acc': 'yes'}",
        "reward_extra_info['acc'] must be a finite number, found 'yes'",
    ),
    "text": ("return 'yes'", "found 'yes' (str)"),
    "nothing": ("return None", "the score must be a finite number, found None"),
    "not a number": ("return float('nan')", "the score must be a finite number, found nan"),
    "it raises": ("raise ValueError('boo')", "the reward raised ValueError: boo (scored.py, line 3)"),
    "always right": ("return 1.0", "every answer counts as correct"),
}


@pytest.mark.parametrize(
    ("manager", "case"), [*(("hdpo", case) for case in HDPO_WRONG), *(("naive", case) for case in NAIVE_WRONG)]
)
def test_what_the_trainer_cannot_use_is_told_once_with_what_was_returned(with_reward, manager, case):
    body, text = (HDPO_WRONG if manager == "hdpo" else NAIVE_WRONG)[case]
    finding = only(marked("FAIL", with_reward(body, manager)))
    assert text in finding.found and finding.advice


def test_a_reward_that_raises_in_verls_rate_limited_manager_is_told(with_reward):
    finding = only(marked("FAIL", with_reward("raise ValueError('boo')", "rate_limited")))
    assert "unknown" in finding.found and "boo" in finding.found


@pytest.mark.parametrize("manager", ["hdpo", "naive"])
def test_a_function_with_arguments_of_its_own_is_told_how_verl_calls_it(with_reward, manager):
    finding = only(marked("FAIL", with_reward("return 1.0", manager, arguments="answer, truth")))
    assert "unexpected keyword argument 'data_source'" in finding.found
    assert "data_source, solution_str, ground_truth and extra_info, as keywords" in " ".join(finding.advice)


@pytest.mark.parametrize("manager", ["naive"])
def test_a_function_that_ends_the_process_is_told(with_reward, manager):
    assert "SystemExit" in only(marked("FAIL", with_reward("raise SystemExit('enough')", manager))).found


def test_a_function_that_raises_where_there_is_no_answer(with_reward):
    body = "return float(re.search('>(.*)<', solution_str).group(1) == ground_truth)"
    finding = only(marked("warn", with_reward(body, head="import re")))
    assert "empty answer: unknown" in finding.found and "let it return 0" in finding.advice[0]
    finding = only(marked("FAIL", with_reward(body, "naive", head="import re")))
    assert "the reward raised AttributeError" in finding.found and "(answer '')" in finding.found


def test_a_right_answer_that_is_never_right_is_warned_of_with_the_forms_that_were_tried(with_reward):
    finding = only(marked("warn", with_reward("return 0.0")))
    assert "is wrong in every form that was tried: '<answer>4</answer>', '#### 4'" in finding.found


@pytest.mark.parametrize(
    ("head", "text"),
    [
        ("import nothing_of_that_name", "No module named 'nothing_of_that_name' (scored.py, line 1)"),
        ("raise OSError('no licence')", "OSError: no licence"),
        ("x = (", "SyntaxError"),
        ("raise SystemExit(2)", "it ends the process by sys.exit(2); put what only a script does under if __name__"),
    ],
)
def test_a_file_that_does_not_import_is_told_with_the_cause(with_reward, head, text):
    assert text in only(marked("FAIL", with_reward("return 1.0", head=head))).found


def test_another_name_and_another_file(run):
    finding = only(marked("FAIL", {**run, "reward.custom_reward_function.name": "score"}))
    assert "score" in finding.found and "define score" in finding.advice[0]
    assert "/no/reward.py does not exist" in only(marked("FAIL", {**run, PATH: "/no/reward.py"})).found


def test_a_manager_that_nobody_has(run):
    assert "Unknown reward manager: hdpoo" in only(marked("FAIL", {**run, MANAGER: "hdpoo"})).found


def test_a_data_source_that_verl_cannot_score_is_named(run, write_rows):
    scored = {"data_source": "openai/gsm8k"}
    run |= {PATH: None, MANAGER: "naive", "data.train_files": write_rows("train", *[scored] * 8)}
    run["data.val_files"] = write_rows("val", scored, {"data_source": "mine"})
    finding = only(marked("FAIL", run))
    assert "'mine'" in finding.found and "Reward function is not implemented" in finding.found
    assert "'openai/gsm8k': answer '#### 4': correct" in told(findings(run), "reward")


def test_a_mistake_on_several_data_sources_is_told_once(with_reward, write_rows):
    run = with_reward("return 'yes'")
    run["data.val_files"] = write_rows("val", {"data_source": "a"}, {"data_source": "b"})
    assert only(marked("FAIL", run)).found.startswith("'toy', 'a', 'b': ")
    run[PATH].write_text("def compute_score(**_): return 0.0")
    assert only(marked("warn", run)).found.startswith("'toy', 'a', 'b': a right answer is wrong in every form")


MANAGER_OF_ONE_S_OWN = """
class Mine:
    def __init__(self, config, tokenizer, compute_score, **_):
        {made}

    async def run_single(self, data):
        return {{"reward_score": 1.0, "reward_extra_info": {{"acc": 1.0}}}}
"""


@pytest.mark.parametrize(
    ("made", "text"),
    [
        ("raise OSError('no licence')", "the reward manager cannot be made: OSError: no licence"),
        ("pass", "every answer counts as correct"),
    ],
)
def test_a_manager_of_the_owner_s_own_is_made_and_tried(run, tmp_path, made, text):
    (tmp_path / "manager.py").write_text(MANAGER_OF_ONE_S_OWN.format(made=made))
    own = {"source": "importlib", "name": "Mine", "module.path": tmp_path / "manager.py"}
    run |= {f"reward.reward_manager.{key}": value for key, value in own.items()}
    assert text in only(marked("FAIL", run)).found


def test_the_metric_that_groups_are_filtered_by_must_be_reported(with_reward):
    filtered = {"algorithm.filter_groups.enable": "true", "algorithm.filter_groups.metric": "hdpo_signal"}
    finding = only(marked("FAIL", with_reward(RIGHT["a number"], "naive", **filtered)))
    assert "algorithm.filter_groups.metric=hdpo_signal is not in reward_extra_info, only acc" in finding.found
    assert not marked("FAIL", with_reward(RIGHT["a number"], "hdpo", **filtered))
    reports = "ok = ground_truth in solution_str; return {'score': ok, 'acc': ok, 'hdpo_signal': float(ok)}"
    assert not marked("FAIL", with_reward(reports, "naive", **filtered))


def test_rules_are_tried_too(run):
    text = told(findings({**run, PATH: None}), "reward")
    assert "answer '<answer>4</answer>': correct, score 1" in text and "empty answer: wrong, score 0" in text


def test_a_run_with_costs_of_tools_is_tried_with_a_ledger(run):
    assert not marked("FAIL", {**run, "+algorithm.hdpo.tool_costs": "{add: 2}"})


def test_a_reward_model_is_not_asked(with_reward):
    model = {
        "reward.reward_model.enable": "true",
        "reward.reward_model.enable_resource_pool": "true",
        "reward.reward_model.rollout.name": "vllm",
    }
    found = marked("warn", with_reward("raise AssertionError", **model))
    assert "not tried: it asks a reward model" in told(found, "reward")


def test_stock_runs_show_scores_alone(with_reward):
    run = with_reward("return {'score': 2.5 * (ground_truth in solution_str)}", "naive")
    run |= {"algorithm.adv_estimator": "grpo", "+algorithm.hdpo.w_tool": None}
    assert "answer '<answer>4</answer>': score 2.5; answer '<answer>5</answer>': score 0.0" in told(
        findings(run), "reward"
    )


def test_a_row_without_a_text_for_an_answer_is_tried_without_a_right_one(with_reward, val_rows):
    run = with_reward("return 0.0")
    tests = {"data_source": "code", "reward_model": {"style": "rule", "ground_truth": {"inputs": ["1"]}}}
    run["data.val_files"] = val_rows(ROW, tests)["data.val_files"]
    assert "no right answer was tried" in told(findings(run), "reward")
