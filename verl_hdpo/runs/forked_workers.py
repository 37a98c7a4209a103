"""``py_executable``: Ray's workers of a CPU run, forked from one process that has imported verl, vLLM and torch.

A verl run has some ten workers, and each would import them anew, which takes longer than a short run. On a cluster with
a GPU a worker this is nothing; on 2 cores the first step comes after 0.6 of the time (benchmarks/cpu_start.py).

``py_executable`` in Ray's ``runtime_env`` is the command that starts a worker. Here it hands the worker's arguments,
environment and files to a server, and waits for the process that the server forks. The first worker of a run starts
the server; it ends with Ray's raylet. Where there is no server, a worker starts as usual.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

LAUNCH = Path(__file__).parents[1] / "cpu" / "forked_workers" / "launch.py"
MODULES = (
    "verl.trainer.main_ppo",
    "vllm.v1.engine.async_llm",
    "vllm.entrypoints.openai.api_server",
    "verl.workers.rollout.vllm_rollout.vllm_async_server",
    "verl.workers.engine_workers",
    "verl.workers.engine.fsdp.transformer_impl",
    "verl.experimental.agent_loop.agent_loop",
    "verl.experimental.reward_loop.reward_loop",
)
"""In the order in which a run needs them: a worker that is asked for meanwhile is forked between two of them."""


def py_executable(modules: Sequence[str] = MODULES) -> str:
    """The command for Ray's ``runtime_env``; the server imports ``modules``."""
    return shlex.join([sys.executable, "-I", "-S", str(LAUNCH), ",".join(modules)])
