"""A rollout that an exception ended stays in its group, as one of unknown outcome with its cause."""

import asyncio
import json

import pytest
import torch
from scripted_loop import FINAL, call, counts, echo, function_tool, run_loop
from tiny import tiny_tokenizer
from verl import DataProto
from verl.experimental.agent_loop.agent_loop import AgentLoopWorker
from verl.utils.tensordict_utils import list_of_dict_to_tensordict

from verl_hdpo.adapters import agent_loop
from verl_hdpo.outcomes.batch import Outcomes
from verl_hdpo.outcomes.ledger import LEDGER_KEY, LOST_KEY, MODEL_SPANS_KEY, RUN_ERROR_KEY
from verl_hdpo.outcomes.outcome import OutcomeError
from verl_hdpo.settings.outcomes import OutcomeSettings

EOS = tiny_tokenizer().eos_token_id


class ImageError(Exception):
    pass


def lost(where, error=None, **config):
    """Output of a trajectory with one call, in which ``where`` of the loop raises."""
    error = error or ImageError("no")

    async def fails(*args, **kwargs):
        raise error

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(agent_loop.HDPOToolAgentLoop, where, fails)
        return run_loop([call("echo"), FINAL], [function_tool(echo)], **config)[0]


@pytest.mark.parametrize(
    ("where", "calls"),
    [
        ("process_multi_modal_info", {}),
        ("ct_build_initial_tokens", {}),
        ("ct_merge_assistant_token", {}),
        ("ct_merge_context_msg", {"echo": {"executed": 1}}),
    ],
)
def test_wherever_it_ends_what_was_called_is_kept(where, calls):
    output = lost(where)
    assert output.extra_fields[LOST_KEY] == "ImageError" and not output.extra_fields[RUN_ERROR_KEY]
    assert counts(output) == calls
    assert output.prompt_ids and output.response_ids == [EOS] and output.response_mask == [0]
    assert output.extra_fields[MODEL_SPANS_KEY] == []
    json.dumps(output.extra_fields)  # plain containers only


@pytest.mark.parametrize("turn", [0, 1])
def test_a_server_that_refuses_a_request_loses_it_too(turn):
    """Such as a prompt that the tools' answers made too long for it."""
    texts = [call("echo"), FINAL]
    texts[turn] = ValueError("longer than max_model_len")
    output, server, _ = run_loop(texts, [function_tool(echo)])
    assert output.extra_fields[LOST_KEY] == "ValueError"
    assert output.prompt_ids == server.prompts[0]
    assert output.num_turns == 1 + 2 * turn


def test_the_name_of_the_cause_can_be_that_of_a_metric():
    error = type("RayTaskError(ValueError)", (ValueError,), {})()
    assert lost("ct_merge_context_msg", error).extra_fields[LOST_KEY] == "RayTaskError_ValueError"


def test_a_trajectory_that_is_cancelled_is_cancelled():
    with pytest.raises(asyncio.CancelledError):
        lost("ct_merge_context_msg", asyncio.CancelledError())


@pytest.mark.parametrize("sampling", [{"logprobs": True}, {}])
@pytest.mark.parametrize("where", ["ct_build_initial_tokens", "ct_merge_context_msg"])
def test_the_row_has_the_columns_of_the_others(where, sampling):
    sample = {"global_steps": 7}
    fine = run_loop([call("echo"), FINAL], [function_tool(echo)], sample=sample, sampling=sampling)[0]
    gone = lost(where, sample=sample, sampling=sampling)
    if not sampling:
        fine.response_logprobs = None
    rows = [output.as_dict() for output in (fine, gone)]
    assert set(rows[0]) | {"rollout_log_probs"} == set(rows[1]) | {"multi_modal_data", "rollout_log_probs"} | set(
        rows[0]
    )
    assert ("rollout_log_probs" in rows[1]) == bool(sampling)
    assert set(rows[1]["extra_fields"]) == set(rows[0]["extra_fields"])
    stamps = [rows[1]["extra_fields"][f"{end}_global_steps"] for end in ("min", "max")]
    assert all(isinstance(stamp, int) for stamp in stamps)
    list_of_dict_to_tensordict([{k: row[k] for k in ("prompts", "responses", "response_mask")} for row in rows])


def test_verl_s_worker_makes_a_batch_of_it():
    worker = object.__new__(AgentLoopWorker)
    worker.tokenizer, worker.processor, worker.reward_loop_worker_handles = tiny_tokenizer(), None, None
    worker.distillation_enabled, worker.mm_processor_kwargs = False, {}
    fine, _, loop = run_loop([call("echo"), FINAL], [function_tool(echo)], sampling={"logprobs": True})
    gone = lost("ct_build_initial_tokens", sampling={"logprobs": True})
    worker.rollout_config = loop.rollout_config

    async def padded(output):
        return await worker._agent_loop_postprocess(output, False, raw_prompt=[])

    rows = [asyncio.run(padded(output)) for output in (fine, gone)]
    batch = worker._postprocess(rows)
    assert isinstance(batch, DataProto)
    assert batch.batch["response_mask"].sum(-1).tolist() == [sum(fine.response_mask), 0]
    assert torch.isfinite(batch.batch["rollout_log_probs"]).all()


def test_the_trainer_reads_it_as_unknown_and_by_its_cause():
    fields = lost("ct_merge_context_msg").extra_fields
    outcomes = Outcomes.read([{**fields, "reward_extra_info": {"acc": 1.0}}], [4], OutcomeSettings())
    assert not outcomes.known_B[0] and outcomes.lost == ("ImageError",) and outcomes.tool_calls_B[0] == 1


def test_a_broken_tool_ends_the_run_where_the_trainer_reads():
    def broken(x):
        return 1, 2, 3, 4

    output, _, _ = run_loop([call("broken"), FINAL], [function_tool(broken)])
    with pytest.raises(OutcomeError, match=r"the tool 'broken' \(test_lost_rollouts\..*broken\) is broken"):
        Outcomes.read([output.extra_fields], [2], OutcomeSettings())


@pytest.mark.parametrize("hdpo", [None, {"observe": True}])
def test_with_verl_s_own_estimators_it_ends_as_in_verl(hdpo):
    """They know no unknown outcome: the filler would count as a wrong answer."""
    with pytest.raises(ImageError):
        lost("ct_merge_context_msg", adv_estimator="grpo", hdpo=hdpo)


def test_an_evaluation_gets_the_exception():
    token = agent_loop.RAISES.set(True)
    try:
        with pytest.raises(ImageError):
            lost("ct_merge_context_msg")
    finally:
        agent_loop.RAISES.reset(token)


def test_the_ledger_of_a_lost_rollout_is_its_own():
    """The calls of a turn go on when one of them ends the rollout."""

    def broken(x):
        return 1, 2, 3, 4

    tools = [function_tool(echo), function_tool(broken)]
    output, _, _ = run_loop([call("echo"), call("broken"), FINAL], tools)
    assert counts(output) == {"echo": {"executed": 1}} and output.extra_fields[LEDGER_KEY]["rounds"] == 2
