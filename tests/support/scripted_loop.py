"""verl's tool loops driven by a scripted server: texts in place of a model, and every prompt kept."""

from __future__ import annotations

import asyncio

from omegaconf import OmegaConf
from tiny import tiny_tokenizer
from verl.experimental.agent_loop.agent_loop import DictConfigWrap, ToolListWrap
from verl.tools.function_tool import FunctionTool
from verl.tools.schemas import OpenAIFunctionToolSchema
from verl.utils.dataset.rl_dataset import RLHFDataset
from verl.workers.rollout.replica import TokenOutput

from verl_hdpo.adapters.agent_loop import HDPOToolAgentLoop
from verl_hdpo.outcomes.ledger import CALL_STATUSES

FINAL = "<answer>4</answer>"


def schema(name, x="string"):
    """Of a tool with one argument ``x``, of that type."""
    parameters = {"type": "object", "properties": {"x": {"type": x}}, "required": ["x"]}
    function = {"name": name, "description": name, "parameters": parameters}
    return OpenAIFunctionToolSchema.model_validate({"type": "function", "function": function})


def function_tool(fn, x="string"):
    return FunctionTool(fn.__name__, fn, schema(fn.__name__, x), asyncio.iscoroutinefunction(fn))


async def echo(x):
    return f"echo {x}"


def call(name, x="1"):
    """A call in the format hermes."""
    return f'<tool_call>\n{{"name": "{name}", "arguments": {{"x": "{x}"}}}}\n</tool_call>'


def counts(output):
    """Calls per tool and outcome, zeros left out."""
    tools = output.extra_fields["tool_ledger"]["tools"]
    return {name: {k: t[k] for k in CALL_STATUSES if t[k]} for name, t in tools.items()}


def text_of(ids):
    return tiny_tokenizer().decode(ids)


def told(server):
    """What the tools answered before the last turn."""
    last = text_of(server.prompts[-1])
    return [part.split("\n</tool_response>")[0] for part in last.split("<tool_response>\n")[1:]]


class Server:
    """Answers each request with the next text of a script, or raises what is there; keeps the prompts it was sent."""

    def __init__(self, texts):
        self.texts, self.prompts = list(texts), []

    async def generate(self, *, prompt_ids, **kwargs):
        self.prompts.append(list(prompt_ids))
        text = self.texts.pop(0)
        if isinstance(text, BaseException):
            raise text
        ids = tiny_tokenizer().encode(text + "<|im_end|>")
        stamps = {"min_global_steps": len(self.prompts), "max_global_steps": len(self.prompts)}
        return TokenOutput(token_ids=ids, log_probs=[-0.5] * len(ids), extra_fields=stamps)


def trainer_config(hdpo=None, adv_estimator="hdpo", **multi_turn):
    multi_turn = {
        "max_user_turns": None, "max_assistant_turns": None, "max_parallel_calls": 4,
        "max_tool_response_length": 256, "tool_response_truncate_side": "middle", "format": "hermes", **multi_turn,
    }  # fmt: skip
    response_length = multi_turn.pop("response_length", 4096)
    rollout = {
        "multi_turn": multi_turn, "prompt_length": 2048, "response_length": response_length,
        "full_determinism": False,
    }  # fmt: skip
    return OmegaConf.create(
        {
            "algorithm": {"adv_estimator": adv_estimator} | ({} if hdpo is None else {"hdpo": hdpo}),
            "actor_rollout_ref": {"rollout": rollout, "model": {"path": None, "tokenizer_path": None}},
            # verl 0.9.0 chooses the Continuous Token builder here, 0.9.1 by hf_model_type
            "data": {"continuous_token": {"enable": True, "model_family": "qwen3"}},
        }
    )


def run_loop(texts, tools, cls=HDPOToolAgentLoop, sample=None, sampling=None, **config):
    """Output, server and loop of one trajectory that follows the script."""

    async def run():
        config_node = trainer_config(**config)
        server = Server(texts)
        loop = cls(
            trainer_config=DictConfigWrap(config_node),
            server_manager=server,
            tokenizer=tiny_tokenizer(),
            processor=None,
            dataset_cls=RLHFDataset,
            data_config=DictConfigWrap(config_node.data),
            hf_model_type="qwen3",
            tools=ToolListWrap(tools),
        )
        prompt = [{"role": "user", "content": "2+2?"}]
        return await loop.run(sampling or {}, raw_prompt=prompt, **(sample or {})), server, loop

    return asyncio.run(run())
