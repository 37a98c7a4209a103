"""What doctor says of a run's config: which algorithm it is, and each mistake once, verl's and this package's."""

from __future__ import annotations

import pytest
from run_findings import LOOP, MULTI_TURN, ROLLOUT, findings, marked, only, overrides, run_findings, told

from verl_hdpo.adapters.hosts import ONE_STEP_OFF
from verl_hdpo.runs.migration.keys import change_of


def test_a_rival_is_named_with_its_settings(run):
    run = {**run, "algorithm.adv_estimator": "grpo_penalty", "+algorithm.grpo_penalty.gated": "true"}
    run["+algorithm.hdpo.tool_costs"] = "{add: 2.5}"
    assert told(findings(run), "algorithm") == (
        "grpo_penalty: a=0.15, form=inverse, gated=True, advantages as GRPO's, over std, T=attempted calls, "
        "add costs 2.5, correct if acc > 0.5"
    )


def test_verls_gdpo_is_pointed_to_the_one_that_runs(run):
    found = marked("warn", {**run, "algorithm.adv_estimator": "gdpo", "+algorithm.hdpo.w_tool": None})
    assert only(found).found == "stock gdpo: HDPO not chosen"
    assert "algorithm.adv_estimator=tool_gdpo" in found[0].advice[0]


def test_the_classic_trainer_is_taken_and_an_experimental_one_refused_in_its_own_words(run):
    filtered = {"algorithm.filter_groups.enable": "true", "algorithm.filter_groups.metric": "acc"}
    assert not marked("FAIL", {**run, "trainer.use_v1": "false"})
    assert not marked("FAIL", {**run, "trainer.use_v1": "false", **filtered})
    ignored = only(marked("warn", {**run, "trainer.use_v1": "false", **filtered}))
    assert "ignores algorithm.filter_groups" in ignored.found
    found = only(marked("FAIL", {**run, "+rollout.nnodes": 1}))
    assert (found.found, found.advice) == (
        f"{ONE_STEP_OFF.name}, one of verl's experimental trainers, is not supported: {ONE_STEP_OFF.note}",
        (ONE_STEP_OFF.advice,),
    )


def test_a_run_without_hdpo_is_told_so(run):
    found = marked("warn", {**run, "algorithm.adv_estimator": "grpo", "+algorithm.hdpo.w_tool": None})
    assert only(found).found == "stock grpo: HDPO not chosen"


def test_settings_that_have_no_effect_are_warned_of(run):
    found = marked("warn", {**run, "algorithm.adv_estimator": "grpo"})
    assert "algorithm.hdpo is set, but algorithm.adv_estimator=grpo makes no use of it" in told(found, "config")


def test_observing_is_said(run):
    run |= {"algorithm.adv_estimator": "grpo", "+algorithm.hdpo.observe": "true", "+algorithm.hdpo.w_tool": None}
    assert told(findings(run), "algorithm") == "stock grpo; HDPO observes only (hdpo/ metrics)"


def test_a_config_of_one_s_own(run, tmp_path):
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "mine.yaml").write_text("defaults: [ppo_trainer, _self_]\nalgorithm: {hdpo: {w_tool: 0.2}}\n")
    run["+algorithm.hdpo.w_tool"] = None
    found = run_findings(overrides(run), "mine", None, str(tmp_path / "conf"))
    assert "w_tool=0.2" in told(found, "algorithm")


REFUSED = {
    "an algorithm that nobody has": (
        {"algorithm.adv_estimator": "hpdo"},
        "adv_estimator=hpdo is not registered",
        "hdpo",
    ),
    "hdpo's check": ({f"{ROLLOUT}.n": 1}, f"{ROLLOUT}.n=1", "use 2 or more"),
    "hdpo's setting": (
        {"+algorithm.hdpo.w_tols": 1},
        "unknown setting algorithm.hdpo.w_tols",
        "did you mean algorithm.hdpo.w_tool?",
    ),
    "a rival's setting": (
        {"+algorithm.otc.smooth": 1},
        "unknown setting algorithm.otc.smooth",
        "did you mean algorithm.otc.smoothing?",
    ),
    "a reward setting": (
        {"+reward.reward_kwargs.chek": "auto"},
        "unknown setting reward.reward_kwargs.chek",
        "did you mean reward.reward_kwargs.check?",
    ),
    "a pattern of two groups": (
        {"+reward.reward_kwargs.answer_pattern": "'(a)(b)'"},
        "answer_pattern must be a regular expression with exactly one group",
        "",
    ),
    "verl's check": (
        {f"{ROLLOUT}.val_kwargs.do_sample": "true", f"{ROLLOUT}.temperature": 0},
        "validation gen temperature should be greater than 0",
        "verl refuses this config",
    ),
    "what verl's trainer loads": (
        {
            "trainer.v1.sampler.custom_sampler.path": "pkg://no_such_sampler",
            "trainer.v1.sampler.custom_sampler.name": "S",
        },
        "No module named 'no_such_sampler'",
        "verl's trainer refuses this config",
    ),
    "a LoRA rank without vLLM": (
        {"actor_rollout_ref.model.lora_rank": 8},
        "no package vllm is installed on this machine",
        "install vLLM here too",
    ),
    "legacy reward": (
        {"custom_reward_function.path": "reward.py"},
        "custom_reward_function.path=reward.py: verl.trainer.main_ppo does not read this legacy setting",
        "use reward.custom_reward_function.path",
    ),
    "a parser that verl lacks": ({f"{MULTI_TURN}.format": "llama3_json"}, "verl has no such tool parser", "hermes"),
    "a rollout engine of old": ({f"{ROLLOUT}.name": "hf"}, "verl has no such rollout engine", "vllm"),
    "a rollout engine that is not there": (
        {f"{ROLLOUT}.name": "sglang"},
        "sglang is not installed on this",
        "install it",
    ),
    "a training engine of none": (
        {"actor_rollout_ref.actor.strategy": "fsdp3"},
        "verl has no such engine",
        "use one of fsdp, fsdp2",
    ),
    "one turn": (
        {f"{MULTI_TURN}.max_assistant_turns": 1},
        "a rollout ends with the model's first turn",
        "set it to 2 or more",
    ),
    "no call at a time": ({f"{MULTI_TURN}.max_parallel_calls": 0}, "no tool call is run", "set it to 1 or more"),
    "no call in all": ({"+algorithm.hdpo.max_tool_calls": 0}, "no tool call is run", "set it to 1 or more"),
    "no tools": ({f"{MULTI_TURN}.function_tool_path": None}, "no tools are configured", "function_tool_path"),
    "a loop that calls none": (
        {LOOP: None},
        "single_turn_agent, verl's default, calls no tools",
        f"{LOOP}=hdpo_tool_agent",
    ),
    "a policy loss that is not there": (
        {"actor_rollout_ref.actor.policy_loss.loss_mode": "vanila"},
        "loss_mode=vanila is not registered",
        "vanilla",
    ),
    "a logger that is not there": ({"trainer.logger": "[console,wandbb]"}, "names wandbb", "wandb"),
    "a tokenizer that is not there": (
        {"actor_rollout_ref.model.tokenizer_path": "/no/tokenizer"},
        "/no/tokenizer does not exist",
        "set actor_rollout_ref.model.tokenizer_path",
    ),
    "a checkpoint that is not there": (
        {"trainer.resume_mode": "resume_path", "trainer.resume_from_path": "/no/global_step_3"},
        "/no/global_step_3 does not exist",
        "set trainer.resume_from_path",
    ),
    "a library that is not there": (
        {"actor_rollout_ref.model.external_lib": "my_patches"},
        "external_lib=my_patches: there is no module my_patches in",
        "every worker imports it",
    ),
    "a manager of loops that is not there": (
        {f"+{ROLLOUT}.agent.agent_loop_manager_class": "json.Manager"},
        "agent_loop_manager_class=json.Manager",
        "every worker imports it",
    ),
    "a cost of no tool": (
        {"+algorithm.hdpo.tool_costs": "{subtract: 3}"},
        "algorithm.hdpo.tool_costs names subtract, and the tools are add",
        "as the model calls it",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_mistake_is_told_once_with_what_to_do(run, case, monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    change, text, advice = REFUSED[case]
    finding = only(marked("FAIL", {**run, **change}))
    assert text in finding.found
    assert advice in " ".join(finding.advice)


@pytest.mark.parametrize("name", ["hdpo", "grpo_penalty", "otc"])
@pytest.mark.parametrize("case", ["no tools", "one turn", "a loop that calls none"])
def test_nothing_to_learn_about_tools_fails_under_every_algorithm_of_this_package(run, name, case):
    change, text, _ = REFUSED[case]
    assert text in only(marked("FAIL", {**run, **change, "algorithm.adv_estimator": name})).found


def test_a_run_that_is_observed_may_have_no_tools(run):
    run |= {
        "algorithm.adv_estimator": "grpo",
        "+algorithm.hdpo.observe": "true",
        f"{MULTI_TURN}.function_tool_path": None,
    }
    assert "no tools are configured" in only(marked("warn", run)).found


def test_verls_first_mistake_hides_no_other(run):
    change = {f"{ROLLOUT}.val_kwargs.do_sample": "true", f"{ROLLOUT}.temperature": 0, f"{ROLLOUT}.n": 1}
    run |= {**change, "critic.enable": "true", "+algorithm.hdpo.w_acc": -1, "data.train_files": "/no/train.parquet"}
    found = "\n".join(finding.found for finding in marked("FAIL", run))
    for text in ("gen temperature", "rollout.n=1", "critic.enable=true", "algorithm.hdpo.w_acc must be", "/no/train"):
        assert text in found
    assert len(marked("FAIL", run)) == 5


def test_a_tool_a_parser_a_manager_and_a_function_hide_none_of_each_other(run, tmp_path):
    (tmp_path / "broken.py").write_text("import nothing_of_that_name")
    (tmp_path / "reward.py").write_text("import nothing_of_that_name_either")
    change = {f"{MULTI_TURN}.function_tool_path": tmp_path / "broken.py", f"{MULTI_TURN}.format": "llama3_json"}
    found = marked("FAIL", {**run, **change, "reward.reward_manager.name": "hdpoo", f"{ROLLOUT}.name": "hf"})
    subjects = ["rollout engine", "tool parser", "tools", "reward manager", "reward function"]
    assert [finding.subject for finding in found] == subjects


def test_what_separate_async_demands_is_told_at_once(run):
    run |= {"trainer.v1.trainer_mode": "separate_async", "trainer.v1.separate_async.parameter_sync_step": 4}
    found = "\n".join(finding.found for finding in marked("FAIL", run))
    for text in (
        "data.train_batch_size=8, and trainer_mode=separate_async needs",
        "actor_rollout_ref.rollout.nnodes=0",
        "checkpoint_engine.backend=naive",
    ):
        assert text in found
    run |= {
        "trainer.v1.separate_async.parameter_sync_step": 1,
        f"{ROLLOUT}.nnodes": 1,
        f"{ROLLOUT}.n_gpus_per_node": 2,
        f"{ROLLOUT}.checkpoint_engine.backend": "nccl",
    }
    assert not marked("FAIL", run)


def test_rollouts_that_are_all_alike_are_warned_of(run):
    assert "are all alike" in only(marked("warn", {**run, f"{ROLLOUT}.temperature": 0})).found


def test_an_engine_may_be_on_the_other_machines_only(run):
    found = marked("warn", {**run, f"{ROLLOUT}.name": "sglang", "trainer.nnodes": 2})
    assert "sglang is not installed on this machine, and the workers need it there" in only(found).found


def test_a_group_of_settings_that_is_misspelt_is_warned_of(run):
    found = only(marked("warn", {**run, "+algorithm.hpdo.w_acc": 1}))
    assert found.found.startswith("algorithm.hpdo.w_acc: nothing") and found.advice == ("did you mean hdpo?",)


def test_what_installs_megatron_is_chosen_by_its_bridge(run):
    run["actor_rollout_ref.actor.ppo_micro_batch_size_per_gpu"] = 1
    assert "megatron-bridge" in str(only(marked("FAIL", run, "ppo_megatron_trainer")).advice)
    run["actor_rollout_ref.actor.megatron.vanilla_mbridge"] = "true"
    assert "verl-hdpo[megatron]" in str(only(marked("FAIL", run, "ppo_megatron_trainer")).advice)


def test_megatron_needs_its_bridge(run):
    run["actor_rollout_ref.model.path"] = "Qwen/Qwen3-8B"
    found = marked("FAIL", run, "ppo_megatron_trainer")
    assert "megatron" in only(found).found
    assert found[0].subject == "training engine"


@pytest.mark.parametrize("key", ["data.sampler.class_path", "trainer.use_legacy_worker_impl"])
def test_a_key_that_verl_removed_is_called_that(run, key):
    found = [finding for finding in run_findings([*overrides(run), f"{key}=x"]) if finding.mark == "FAIL"]
    change = change_of(key)
    assert change.why in only(found).found and found[0].advice == (change.advice,)


def test_a_misspelt_key_hides_no_other_mistake(run):
    given = [
        *overrides(run),
        "algorithm.adv_estimatr=grpo",
        f"{ROLLOUT}.temperatur=1",
        "data.train_filez=/no/train.parquet",
    ]
    found = [finding for finding in run_findings(given) if finding.mark == "FAIL"]
    assert [finding.advice[0] for finding in found][:3] == [
        "did you mean algorithm.adv_estimator?",
        f"did you mean {ROLLOUT}.temperature?",
        "did you mean data.train_files?",
    ]
    assert any("/no/train.parquet does not exist" in finding.found for finding in found), "read as it was meant"


def test_a_value_that_nobody_expected_is_told_once(run):
    """Where the check itself stumbles over it as well."""
    found = [finding for finding in run_findings([*overrides(run), "trainer.nnodes=null"]) if finding.mark == "FAIL"]
    assert len(found) == 1 and "Traceback" not in found[0].found


def test_the_price_of_the_setting_is_told(run):
    run |= {"algorithm.adv_estimator": "priced", "+algorithm.priced.price": 0.25, "+algorithm.hdpo.w_tool": None}
    assert told(findings(run), "price of a call") == (
        "points of accuracy that a call must gain: 25 (50% call, 50% right), 25 (10% call, 80% right), "
        "25 (90% call, 80% right), 25 (50% call, 95% right)"
    )
    run |= {"algorithm.adv_estimator": "tool_gdpo", "+algorithm.priced.price": None}
    assert "more than it gives (50% call, 50% right)" in told(findings(run), "price of a call")


PRICED = {"algorithm.adv_estimator": "priced", "+algorithm.hdpo.w_tool": None}


def test_each_tool_with_a_cost_has_its_own_price(run):
    """The one tool is ``add``; a cost of another name is a mistake of its own."""
    run |= {**PRICED, "+algorithm.priced.price": 1, "+algorithm.priced.accuracy_per_unit": 10}
    own, none = told(findings(run | {"+algorithm.hdpo.tool_costs": "{add: 0.01}"}), "price of a call").splitlines()
    assert own.startswith("points of accuracy that a call of add, at its cost of 0.01 must gain: 10 (50% call, ")
    assert "a call of no known tool (unknown_tool), at a cost of 1 must gain: more than it gives (" in none
    every = told(findings(run | {"+algorithm.hdpo.tool_costs": "{add: 0.01, unknown_tool: 0.02}"}), "price of a call")
    assert len(every.splitlines()) == 2 and "unknown_tool, at its cost of 0.02 must gain: 20 (" in every
    costs = "{add: 0.01, subtract: 0.03}"
    assert told(findings(run | {"+algorithm.hdpo.tool_costs": costs}), "price of a call").count("must gain: 30 (") == 1
    one, other = told(findings(run | {"+algorithm.hdpo.tool_costs": "{mul: 0.02}"}), "price of a call").splitlines()
    assert "a call of mul, at its cost of 0.02 must gain: 20 (" in one
    assert "a call of another tool, at a cost of 1 must gain: more than it gives (" in other


@pytest.mark.parametrize(
    ("manager", "expected"),
    [
        ("naive", "25 (50% call, 50% right)"),  # the reward is taken to be what answer_weight says
        ("hdpo", "more than it gives (50% call, 50% right)"),  # it is .9, and 2 x .25 of reward are 56 points
    ],
)
def test_the_price_takes_a_right_answer_for_what_it_adds(run, manager, expected):
    run |= {**PRICED, "+algorithm.priced.price": 0.25, "+algorithm.priced.answer_weight": 2}
    assert expected in told(findings(run | {"reward.reward_manager.name": manager}), "price of a call")


def test_a_guarded_price_is_at_most_that(run):
    run |= {**PRICED, "+algorithm.priced.price": 0.2, "+algorithm.priced.guard": "true"}
    found = findings(run)
    assert "a call must gain at most (guarded): 20 (" in told(found, "price of a call")
    assert "guard=True, guard_margin=0.02, guard_window=4" in told(found, "algorithm")


@pytest.mark.parametrize(
    ("name", "change", "line"),
    [
        (
            "priced",
            {"+algorithm.priced.price": 2, "+algorithm.priced.accuracy_per_unit": 0.05},
            "priced: price=2, accuracy_per_unit=0.05, gated=False, answer_weight=0.9, guard=False, guard_margin=0.02, "
            "guard_window=4, advantages over the std of the others' rewards, T",
        ),
        ("priced", {"+algorithm.hdpo.norm_by_std": "false"}, "guard_window=4, advantages not over std, T"),
        ("turn_penalty", {}, "turn_penalty: weight=0.1, advantages not over std, T"),
        ("dvao", {}, "dvao: w_acc=1, w_tool=1, advantages over the sum of both rewards' std, T"),
        ("otc", {"+algorithm.hdpo.norm_by_std": "false"}, "otc: smoothing=1, advantages as GRPO's, not over std, T"),
    ],
)
def test_an_algorithm_is_described_as_it_is_set(run, name, change, line):
    run |= {"algorithm.adv_estimator": name, "+algorithm.hdpo.w_tool": None, **change}
    assert line in told(findings(run), "algorithm")
