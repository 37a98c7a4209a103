"""What becomes of a rollout that an exception ended.

verl logs the exception and goes on with the rollout's siblings. Most of what can go wrong goes wrong in turns with
tools, so those that vanish are those that called them: the group that is left says that calling none is better. A lost
rollout therefore arrives, as a rollout of unknown outcome: it keeps its place in its group, is counted by its cause,
and has no part in the loss or in any statistics.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from verl.experimental.agent_loop.agent_loop import AgentLoopMetrics, AgentLoopOutput
from verl.experimental.agent_loop.tool_agent_loop import AgentData

from verl_hdpo.outcomes.ledger import LOST_KEY, RUN_ERROR_KEY
from verl_hdpo.tools.failures import EndsRun


def lost_rollout(
    error: Exception, agent_data: AgentData | None, filler: int, with_logprobs: bool, sample: Mapping[str, Any]
) -> AgentLoopOutput:
    """A rollout of one token that counts for nothing, with all that verl's trainers ask of a row.

    Args:
        error: what ended it.
        agent_data: of the rollout; None if it had not begun.
        filler: id of a token that stands for the response and, where images belong to it, for the prompt.
        with_logprobs: whether the other rollouts have log-probs.
        sample: its row of the data set, in which trainer V1 puts ``global_steps``.
    """
    prompt, metrics, turns, experts, stamps = [], {}, 0, None, {}
    if agent_data is not None:
        metrics, stamps = agent_data.metrics, agent_data.extra_fields
        turns = agent_data.user_turns + agent_data.assistant_turns + 1
        if not (agent_data.image_data or agent_data.video_data or agent_data.audio_data):
            prompt = agent_data.prompt_ids[: len(agent_data.prompt_ids) - len(agent_data.response_mask)]
        experts = agent_data.routed_experts
    prompt = prompt or [filler]
    if "global_steps" in sample and "min_global_steps" not in stamps:  # trainer V1 computes with them
        step = int(sample["global_steps"]) - 1  # as the server has it, the number of updates before
        stamps = {**stamps, "min_global_steps": step, "max_global_steps": step}
    cause = re.sub(r"\W+", "_", type(error).__name__).strip("_")  # becomes a metric's name
    output = AgentLoopOutput(
        prompt_ids=prompt,
        response_ids=[filler],
        response_mask=[0],
        response_logprobs=[0.0] if with_logprobs else None,
        routed_experts=None if experts is None else experts[: len(prompt) + 1],
        multi_modal_data={},
        mm_processor_kwargs={},
        mm_processor_output=None,
        num_turns=turns,
        metrics=AgentLoopMetrics(**metrics),
        extra_fields={**stamps, "turn_scores": [], "tool_rewards": [], LOST_KEY: cause},
    )
    if isinstance(error, EndsRun):
        output.extra_fields[RUN_ERROR_KEY] = str(error)
    return output
