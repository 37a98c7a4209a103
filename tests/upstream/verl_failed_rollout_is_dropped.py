"""A rollout that an exception ended is dropped, and its siblings are trained as if there had been no more.

Rollouts that call tools fail more often than those that call none. Those left over are compared with one another, so
training learns to call no tools. No metric counts the dropped ones.

Package: verl
Place: verl/trainer/ppo/v1/agent_loop_tq.py, AgentLoopWorkerTQ._run_prompt
Ours: verl_hdpo/adapters/lost_rollout.py: lost_rollout; verl_hdpo/adapters/agent_loop.py: a rollout is lost
"""

import asyncio
import logging
from types import SimpleNamespace

from verl.trainer.ppo.v1 import agent_loop_tq


class Queue:
    """Stands for TransferQueue."""

    def __init__(self):
        self.put = []

    async def async_kv_put(self, key, partition_id, tag):
        self.put.append((key, tag))


class Worker:
    """Of two sessions of a prompt the first raises."""

    rollout = SimpleNamespace(n=2)
    config = SimpleNamespace(actor_rollout_ref=SimpleNamespace(rollout=rollout))

    async def _run_agent_loop(self, *_, session_id, **__):
        if session_id == 0:
            raise RuntimeError("a tool's connection broke")


def is_there() -> bool:
    """Nothing but the status of the prompt says that a session is missing."""
    run_prompt = agent_loop_tq.AgentLoopWorkerTQ.__ray_metadata__.modified_class._run_prompt
    stock, queue = agent_loop_tq.tq, Queue()
    agent_loop_tq.tq = queue
    logging.disable(logging.CRITICAL)
    try:
        asyncio.run(run_prompt(Worker(), {"uid": "p"}, {}, {"validate": False}))
    finally:
        agent_loop_tq.tq = stock
        logging.disable(logging.NOTSET)
    return queue.put == [("p", {"status": "running"}), ("p", {"status": "failure"})]


if __name__ == "__main__":
    print("still there" if is_there() else "mended")
