"""A process that has imported torch, verl and Megatron once, and forks the ranks of each layout that it is asked for.

Says ``{"verl": version}`` when it is ready. Reads requests ``{"layout": name, "directory": ..., "output": ...}``, one a
line, and answers each by ``{"error": null}`` or what went wrong; ranks write to ``output``. Nothing in it starts a
thread or a process group.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path

LIMIT = 3600.0
"""Seconds after which the ranks of a layout hang, however busy the machine is."""


def serve() -> None:
    import engine_worker
    import torch
    import verl.models.mcore.mbridge
    import verl.workers.engine.megatron
    from layouts import LAYOUTS
    from transformers import Qwen3Config
    from verl.utils.model import get_hf_auto_model_class

    # Imports what each rank would otherwise spend seconds on.
    get_hf_auto_model_class(Qwen3Config(architectures=["Qwen3ForCausalLM"]))
    torch.set_num_threads(1)
    assert threading.active_count() == 1, f"forking needs a single thread, found {threading.enumerate()}"
    answer(verl=verl.__version__)
    for line in sys.stdin:
        request = json.loads(line)
        output = Path(request["output"])
        main = partial(engine_worker.rank_main, request["layout"], Path(request["directory"]), output)
        ranks = [fork(partial(main, rank), output / f"{rank}.log") for rank in range(LAYOUTS[request["layout"]].world)]
        answer(error=wait(ranks, output))


def answer(**values: str | None) -> None:
    print(json.dumps(values), flush=True)


def fork(main: Callable[[], None], log: Path) -> int:
    """Run ``main`` in a child that writes to ``log``; the child's process id."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        main()
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def wait(pids: list[int], output: Path) -> str | None:
    """None when all ranks ended well; the first to fail ends the others, which would wait for it."""
    running, deadline = dict(enumerate(pids)), time.monotonic() + LIMIT
    error = None
    while running and error is None:
        for rank, pid in list(running.items()):
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                del running[rank]
                if status:
                    error = f"rank {rank} failed:\n{(output / f'{rank}.log').read_text()[-6000:]}"
        if time.monotonic() > deadline:
            error = f"ranks {sorted(running)} did not end within {LIMIT:.0f} s; their logs are in {output}"
        time.sleep(0.02)
    for pid in running.values():
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    return error


if __name__ == "__main__":
    serve()
