"""Loaded by verl in each of its processes (VERL_USE_EXTERNAL_MODULES): every tenth tool call meets the next fault.

Faults are drawn where the model has just written a call, go with the trajectory, and are acted out where they belong:
by the model's server, the tool, the tool server, the reward function or the reward worker. ``extra_fields["fault"]``
says which it was.
"""

from __future__ import annotations

import asyncio
import os
from contextvars import ContextVar
from itertools import count, cycle

import numpy as np
from wrapt import ObjectProxy, register_post_import_hook

EVERY = 10
FULL_STORE_AT = 3
"""Step."""
FAULTS = {
    "half a surrogate pair": "executed",
    "NaN as step reward": "executed",
    "release raises": "executed",
    "tool raises": "failed",
    "tool exits": "failed",
    "tool hangs": "timed_out",
    "JSON that cannot be read": "failed",
    "tool is cancelled": "unavailable",
    "server answers 500": "unavailable",
    "server hangs up": "unavailable",
    "server hangs up in the middle": "unavailable",
    "server sends garbage": "unavailable",
    "server lost the session": "unavailable",
    "server is gone": "unavailable",
    "generation raises": "lost",
    "reward raises": "reward_function_raised",
    "reward is NaN": "reward_function",
    "reward is None": "reward_function",
    "reward process dies": "reward_function_raised",
    "reward hangs": "reward_function_raised",
    "reward worker raises": "missing",
}
"""What becomes of the call, or else of the rollout."""
ON_SERVER = [fault for fault in FAULTS if fault.startswith("server")]
UNREADABLE = '<tool_call>{"name": "calculator", "arguments": {"expression": </tool_call>'

FAULT: ContextVar[str] = ContextVar("fault", default="")
_calls, _faults = count(1), cycle(FAULTS)


class _Server(ObjectProxy):
    """The model's server, as an agent loop asks it."""

    def __init__(self, wrapped, tokenizer):
        super().__init__(wrapped)
        self._self_tokenizer = tokenizer

    async def generate(self, **kwargs):
        output = await self.__wrapped__.generate(**kwargs)
        if "<tool_call>" not in self._self_tokenizer.decode(output.token_ids) or next(_calls) % EVERY:
            return output
        FAULT.set(next(_faults))
        if FAULT.get() == "generation raises":
            raise RuntimeError("the model's server gives no answer")
        if FAULT.get() == "JSON that cannot be read":
            ids = self._self_tokenizer.encode(UNREADABLE) + output.token_ids[-1:]
            output.token_ids, output.log_probs = ids, output.log_probs and [-0.5] * len(ids)
        return output


def in_loops(module):
    loop = module.HDPOToolAgentLoop
    run = loop.run

    async def faulty_run(self, sampling_params, **kwargs):
        FAULT.set("")
        self.server_manager = _Server(self.server_manager, self.tokenizer)
        output = await run(self, sampling_params, **kwargs)
        output.extra_fields["fault"] = FAULT.get()
        return output

    loop.run = faulty_run


def in_reward_workers(module):
    manager = module.HDPORewardManager
    run_single = manager.run_single

    async def faulty_run_single(self, data):
        rows = data.non_tensor_batch
        faults = [fields["fault"] for fields in rows["tool_extra_fields"]]
        if "reward worker raises" in faults:
            raise RuntimeError("the reward worker raises")
        infos = [{**info, "fault": fault} for info, fault in zip(rows["extra_info"], faults, strict=True)]
        rows["extra_info"] = np.array(infos, dtype=object)
        return await run_single(self, data)

    manager.run_single = faulty_run_single


def in_trainers(module):
    """Not a fault of a call: more in Ray's object store than it holds, which it moves to disk as it can."""
    import ray

    trainer = module._HDPOTrainer
    step_once, held = trainer._step_once, []

    def _step_once(self, *args):
        if self.global_steps == FULL_STORE_AT:
            held.extend(ray.put(np.zeros(50_000_000, np.uint8)) for _ in range(12))
        return step_once(self, *args)

    trainer._step_once = _step_once


# The test that starts the run imports this module too.
if __name__ in os.environ.get("VERL_USE_EXTERNAL_MODULES", "").split(","):
    register_post_import_hook(in_trainers, "verl_hdpo.adapters.trainer")
    register_post_import_hook(in_loops, "verl_hdpo.adapters.agent_loop")
    register_post_import_hook(in_reward_workers, "verl_hdpo.adapters.reward_manager")


async def act_out(fault):
    """What a tool does of its own, before it answers."""
    if fault == "tool raises":
        raise ValueError("no")
    if fault == "tool exits":
        raise SystemExit(1)
    if fault == "tool is cancelled":
        raise asyncio.CancelledError
    if fault == "tool hangs":
        await asyncio.Event().wait()
