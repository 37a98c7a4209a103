"""Rollouts of an evaluation: verl's own agent-loop and reward workers, with a server over HTTP in place of Ray's.

The prompt, the tool loop, the tool parser, the ledger and the verdict are those of a run's validation; only the tokens
come from elsewhere.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from typing import Any

from omegaconf import DictConfig, open_dict
from verl.experimental.agent_loop.agent_loop import AgentLoopWorker
from verl.experimental.agent_loop.tool_parser import ToolParser
from verl.experimental.reward_loop.reward_loop import RewardLoopWorker
from verl.trainer.ppo.utils import create_rl_dataset

from verl_hdpo.adapters.agent_loop import RAISES
from verl_hdpo.adapters.call_reader import call_opening
from verl_hdpo.adapters.run_settings import hdpo_settings
from verl_hdpo.adapters.tool_loading import read_tool_yaml
from verl_hdpo.adapters.tool_prompt import shows_tools
from verl_hdpo.adapters.user_code import find_modules_here, in_words
from verl_hdpo.evaluation.counterfactual import ExchangedTool
from verl_hdpo.evaluation.endpoint import Endpoint
from verl_hdpo.evaluation.record import Arm, Record
from verl_hdpo.evaluation.run_config import EvaluationError
from verl_hdpo.evaluation.token_client import TRAJECTORY, Exchange, TokenClient, Trajectory
from verl_hdpo.outcomes.batch import Outcomes
from verl_hdpo.outcomes.report import ANSWER_KEY


class _Local:
    """A reward worker in this process, called as verl calls one behind Ray: ``compute_score.remote(data)``."""

    def __init__(self, worker: RewardLoopWorker):
        self.compute_score = self
        self.remote = worker.compute_score


class Rollouts:
    """Rollouts of one model by the config of its run.

    Args:
        config: of a run: model (of which only config and tokenizer are read), data, tools, agent loop, reward.
        arms: those that will be run.
        seed: of all sampling.
        call_start: text that a tool call begins with; None: what verl's parser looks for.
        ban_calls: keep the tools in the prompt of the arm ``without`` and ban the token that a call begins with;
            else the tools are left out of the prompt, and a call that is made all the same ends the answer.

    Raises:
        EvaluationError: no tools, or none that the prompt shows; an agent loop that calls none.
    """

    def __init__(
        self, config: DictConfig, arms: Sequence[Arm], seed: int = 0,
        call_start: str | None = None, ban_calls: bool = False,
    ):  # fmt: skip
        loop = config.actor_rollout_ref.rollout.agent.default_agent_loop
        if loop == "single_turn_agent":
            raise EvaluationError(
                f"the agent loop {loop} calls no tools; set actor_rollout_ref.rollout.agent.default_agent_loop"
            )
        if config.reward.reward_model.enable:
            raise EvaluationError(
                "reward.reward_model.enable=true: no reward model runs beside an evaluation; set it to false, and have "
                "answers judged by reward.custom_reward_function.path or reward.reward_manager.name=hdpo"
            )
        self._settings = hdpo_settings(config)
        if "without" in arms and not ban_calls and not self._settings.show_tools:
            raise EvaluationError(
                "algorithm.hdpo.show_tools=false: the rows' own prompts describe the tools, and they cannot be left "
                "out of them; take the tools away by --without token, or leave the arm out: --arms free,forced"
            )
        self._base = _worker(config)
        if not self._base.tools:
            raise EvaluationError(
                "no tools: name them as the run does, by actor_rollout_ref.rollout.multi_turn.tool_config_path or "
                "actor_rollout_ref.rollout.multi_turn.function_tool_path"
            )
        self.tokenizer, self.tools = self._base.tokenizer, [tool.name for tool in self._base.tools]
        self._config, self._seed, self._call_start, self._ban_calls = config, seed, call_start, ban_calls
        self._keeps_turns = "counterfactual" in arms
        self._workers = {arm: self._worker(arm) for arm in arms}

    def use(self, endpoint: Endpoint) -> None:
        """Say where the model is served; nothing before :meth:`run` needs it."""
        for worker in self._workers.values():
            worker.llm_client.endpoint = endpoint

    def questions(self, files: Sequence[str], limit: int = -1) -> Sequence[Mapping[str, Any]]:
        """The first ``limit`` questions (-1: all), as verl's data set reads them.

        Raises:
            EvaluationError: no question is left, or a prompt that shows no tool.
        """
        config = copy.deepcopy(self._config.data)
        with open_dict(config):
            config.shuffle = False  # else verl draws the first ``limit`` at random
        with redirect_stdout(StringIO()):
            data = create_rl_dataset(files, config, self.tokenizer, self._base.processor, False, limit)
        if not len(data):
            raise EvaluationError(
                f"of {', '.join(files)} no question is left; data.filter_overlong_prompts leaves out prompts of more "
                f"than data.max_prompt_length={config.max_prompt_length} tokens"
            )
        for row in range(len(data)):
            self._check_selection(row, data[row])
        self._check_prompt(data[0]["raw_prompt"])
        return data

    async def run(
        self,
        arm: Arm,
        question: int,
        rollout: int,
        row: Mapping[str, Any],
        replay: Sequence[Sequence[int]] = (),
        exchange: Exchange | None = None,
    ) -> Record:
        """One rollout of a row of :meth:`questions`.

        Args:
            replay: its first turns, which are played back.
            exchange: what the answers become that tools give to the last of them.
        """
        trajectory = Trajectory(f"{arm}/{question}/{rollout}", replay=replay, exchange=exchange)
        TRAJECTORY.set(trajectory)
        RAISES.set(True)
        config = self._config.actor_rollout_ref.rollout
        fields = {key: value for key, value in row.items() if key != "dummy_tensor"}
        values = config.val_kwargs
        # As AgentLoopWorker.generate_sequences for validation.
        sampling = {"temperature": values.temperature, "top_p": values.top_p, "top_k": values.top_k}
        with _told(f"question {question}: the run's agent loop, tools or reward function failed"):
            output = await self._workers[arm]._run_agent_loop(
                {**sampling, "repetition_penalty": 1.0, "logprobs": False},
                {"step": -1, "sample_index": question, "rollout_n": rollout, "validate": True},
                agent_name=fields.pop("agent_name", None) or config.agent.default_agent_loop,
                trace=False,
                **fields,
            )
        outcomes = Outcomes.read([output.extra_fields], [output.num_turns], self._settings)
        written = output.response_ids[0][output.attention_mask[0, output.prompt_ids.shape[1] :].bool()]
        calls, turns = int(outcomes.tool_calls_B[0]), trajectory.turns
        kept = turns if self._keeps_turns and arm == "free" and calls else []
        return Record(
            arm=arm,
            question=question,
            rollout=rollout,
            source=str(row["data_source"]),
            calls=calls,
            correct=bool(outcomes.correct_B[0]) if bool(outcomes.known_B[0]) else None,
            response=self.tokenizer.decode(written.tolist(), skip_special_tokens=False),
            asked=_asked(row),
            messages=[_told_message(message) for message in row["raw_prompt"]],
            reference=str((row.get("reward_model") or {}).get("ground_truth", "")),
            verdict=outcomes.sources[0],
            answer=str((output.extra_fields.get("reward_extra_info") or {}).get(ANSWER_KEY) or ""),
            turns=kept,
            answers=trajectory.answers if kept else [],
            last_turn=self.tokenizer.decode(turns[-1], skip_special_tokens=True) if self._keeps_turns and turns else "",
            exchanged=trajectory.exchanged,
            should_call=None if (label := (row.get("extra_info") or {}).get("should_call")) is None else bool(label),
            ledger=ledger.to_dict() if (ledger := outcomes.ledgers[0]) else None,
        )

    def _worker(self, arm: Arm) -> AgentLoopWorker:
        worker = copy.copy(self._base)
        start, banned = [], []
        if self._keeps_turns and arm in ("free", "counterfactual"):
            worker.tools = [ExchangedTool(tool) for tool in self._base.tools]
        if arm == "forced":
            start = self._call_start_ids()
        elif arm == "without":
            if self._ban_calls:
                banned = self._call_start_ids()
                if len(banned) != 1:
                    raise EvaluationError(
                        f"a call begins with {len(banned)} tokens, and only a single one can be banned; leave the "
                        f"tools out of the prompt instead"
                    )
            else:
                worker.tools = []
            # Parsers look for text, which other tokens can spell: a call that is made all the same ends the answer.
            worker.config = copy.deepcopy(self._config)
            with open_dict(worker.config):
                worker.config.actor_rollout_ref.rollout.multi_turn.max_assistant_turns = 1
        worker.llm_client = TokenClient(
            worker.rollout_config, self.tokenizer, self._seed, start, banned, self._base.processor
        )
        return worker

    def _call_start_ids(self) -> list[int]:
        """Tokens that a tool call begins with.

        Raises:
            EvaluationError: verl's parser does not tell.
        """
        text = self._call_start
        if text is None:
            name = self._config.actor_rollout_ref.rollout.multi_turn.format
            text = call_opening(ToolParser.get_tool_parser(name, self.tokenizer))
            if text is None:
                raise EvaluationError(f"what a call begins with in the format {name} is not known; give --call-start")
        return self.tokenizer.encode(text, add_special_tokens=False)

    def _check_selection(self, number: int, row: Mapping[str, Any]) -> None:
        chosen = list((row.get("extra_info") or {}).get("tool_selection") or ())
        if chosen and not set(chosen) & set(self.tools):
            raise EvaluationError(
                f"row {number} has no tool in its prompt: extra_info.tool_selection is {', '.join(chosen)}, and the "
                f"tools are {', '.join(self.tools)}"
            )

    def _check_prompt(self, messages: Sequence[Mapping[str, Any]]) -> None:
        kwargs = self._config.data.get("apply_chat_template_kwargs")
        if not shows_tools(self.tokenizer, messages, self._base.tools, kwargs, self._settings.show_tools):
            raise EvaluationError(
                f"no tool in the prompt: the chat template shows none of {', '.join(self.tools)}, so the model "
                f"cannot know of them; use a model, or a custom_chat_template, that supports tools"
            )


def _asked(row: Mapping[str, Any]) -> str:
    messages = [_told_message(message) for message in row["raw_prompt"]]
    text = json.dumps([messages, (row.get("reward_model") or {}).get("ground_truth")], default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _told_message(message: Mapping[str, Any]) -> dict[str, Any]:
    """``message`` with a fingerprint in the place of each image."""
    content = message["content"]
    return {**message, "content": content if isinstance(content, str) else [_told_part(part) for part in content]}


def _told_part(part: Any) -> Any:
    image = part.get("image") if isinstance(part, Mapping) else None
    if image is None:
        return part
    data = part.get("bytes") or (image.encode() if isinstance(image, str) else image.tobytes())
    return {"type": "image", "sha256": hashlib.sha256(data).hexdigest()}


def _worker(config: DictConfig) -> AgentLoopWorker:
    """verl's worker with its reward in this process.

    Raises:
        ToolConfigError: the tool yaml does not exist, or names what does not.
        EvaluationError: the model's config or tokenizer, the tools or the reward cannot be loaded.
    """
    find_modules_here()
    if path := config.actor_rollout_ref.rollout.multi_turn.tool_config_path:
        read_tool_yaml(path)
    model = config.actor_rollout_ref.model.path
    with _told(f"verl cannot load the model {model}, the tools or the reward"), redirect_stdout(StringIO()):
        reward = _Local(RewardLoopWorker(config))
        return AgentLoopWorker(config, llm_client=None, reward_loop_worker_handles=[reward])


@contextmanager
def _told(what: str) -> Iterator[None]:
    """Whatever verl or the run's own code raises here, and where, after ``what``; what is ours is said already.

    Raises:
        EvaluationError: in place of it.
    """
    try:
        yield
    except Exception as error:
        if type(error).__module__.startswith("verl_hdpo."):
            raise
        raise EvaluationError(f"{what}: {in_words(error)}") from error
