"""One rank that trains on a mini-batch with images: ``vision_worker.py FOLDER LAYOUT``, with torchrun's variables."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import SimpleNamespace

import torch
from engine_worker import train
from layouts import Job, Layout, Split
from rollouts import Rollouts
from stock_worker import export, make_worker, named_parameters, restore
from tensordict import NonTensorStack
from vision_rollouts import COMPARED, VisionRows

LAYOUTS = {
    "packed": Layout("fsdp2", COMPARED),
    "padded": Layout("fsdp2", COMPARED, packed=False),
    "two ranks": Layout("fsdp2", COMPARED, world=2),
}
SPLITS = (Split(rows=1), Split(rows=2), Split(rows=4), Split(tokens=160), Split(tokens=400))
RATE = 16.0


def jobs() -> list[Job]:
    """The paper's loss in every split, the other in two."""
    first, other = COMPARED
    return [Job(first, split, rate=RATE) for split in SPLITS] + [Job(other, split, rate=RATE) for split in SPLITS[::3]]


def position_ids(path: Path, batch: Rollouts, rows: VisionRows) -> list[torch.Tensor]:
    """Of each row, (4, tokens), as verl's agent loop worker makes them for the trainer."""
    from verl.experimental.agent_loop.agent_loop import AgentLoopWorker
    from verl.utils import hf_processor

    worker = SimpleNamespace(processor=hf_processor(str(path)))
    assert worker.processor is not None
    found = []
    for prompt, response, inputs in zip(batch.prompts, batch.responses, rows.inputs, strict=True):
        ids = torch.cat([prompt, response])[None]
        given = {**inputs, "mm_token_type_ids": (ids == rows.image_token).long()} if inputs else {}
        if not inputs:
            given = {"mm_token_type_ids": torch.zeros_like(ids)}
        made = AgentLoopWorker._compute_position_ids(worker, ids, torch.ones_like(ids), given)
        found.append(made[0])
    return found


def main(folder: Path, name: str) -> None:
    layout = LAYOUTS[name]
    torch.set_num_threads(1)
    batch, rows = torch.load(folder / "rollouts.pt", weights_only=False)
    fields = {
        "position_ids": torch.nested.as_nested_tensor(position_ids(folder / "model", batch, rows), layout=torch.jagged),
        "multi_modal_inputs": NonTensorStack(*rows.inputs),
    }
    worker = make_worker(layout, folder)
    initial = export(worker, layout)
    start = [p.data.clone() for _, p in named_parameters(worker)]
    outcomes = []
    for job in jobs():
        restore(worker, start)
        outcomes.append(train(worker, layout, batch, job, fields))
    if torch.distributed.get_rank() == 0:
        torch.save((initial, outcomes), folder / f"{name}.pt")


if __name__ == "__main__":
    os.environ.setdefault("MASTER_ADDR", "127.0.0.1")
    main(Path(sys.argv[1]), sys.argv[2])
