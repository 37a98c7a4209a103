"""The actor's update by stock verl's ``TrainingWorker`` and FSDP2 engine, in this process, on the CPU.

The model is about as small as the quickstart's, so that the loss is as large a part of the update as it gets. Both
losses train on the same rows; the learning rate is 0, so that every update is the same work.
"""

from __future__ import annotations

import os
import tempfile
from functools import partial
from pathlib import Path

import torch
from tensordict import NonTensorStack, TensorDict
from transformers import Qwen3Config, Qwen3ForCausalLM
from verl.trainer.config import CheckpointConfig
from verl.utils import tensordict_utils as tu
from verl.workers.config import (
    ActorConfig,
    FSDPEngineConfig,
    FSDPOptimizerConfig,
    HFModelConfig,
    TrainingWorkerConfig,
)
from verl.workers.engine_workers import TrainingWorker
from verl.workers.utils.losses import ppo_loss

from hdpo_cost.pairs import compared, in_turn
from verl_hdpo.adapters.loss import TOOL_ADVANTAGES, two_channel_loss
from verl_hdpo.settings.algorithms import HDPOSettings

VOCABULARY = 547
PROMPT = 24
SHAPES = {"128 rows of 64": (128, 64), "16 rows of 512": (16, 512), "2 rows of 4096": (2, 4096)}
"""Rows and most response tokens of the updates; the first is what the quickstart trains on, and the headline."""


def measure(pairs: int) -> dict[str, object]:
    os.environ.update(RANK="0", LOCAL_RANK="0", WORLD_SIZE="1", LOCAL_WORLD_SIZE="1", MASTER_ADDR="127.0.0.1")
    with tempfile.TemporaryDirectory() as directory:
        os.environ.update(MASTER_PORT="0", DIST_INIT_METHOD=f"file://{directory}/store")
        worker = make_worker(Path(directory))
        found = {name: update(worker, *shape, pairs) for name, shape in SHAPES.items()}
        torch.distributed.destroy_process_group()
    return found


def update(worker: TrainingWorker, rows: int, tokens: int, pairs: int) -> dict[str, object]:
    config, settings = ActorConfig(strategy="fsdp2", rollout_n=1, ppo_micro_batch_size_per_gpu=1), HDPOSettings()
    losses = {
        "grpo": partial(ppo_loss, config=config),
        "hdpo": partial(two_channel_loss, config, settings.w_acc, settings.w_tool),
    }
    batch = mini_batch(rows, tokens)
    batches = {"grpo": batch.exclude(TOOL_ADVANTAGES), "hdpo": batch}

    def train(way: str) -> None:
        worker.set_loss_fn(losses[way])
        worker.train_mini_batch(batches[way].clone(recurse=False))

    samples = in_turn({way: partial(train, way) for way in losses}, pairs)
    return compared(samples["grpo"], samples["hdpo"])


def mini_batch(rows: int, tokens: int) -> TensorDict:
    """What verl's workers fetch when the actor is updated: one mini-batch of random tokens."""
    g = torch.Generator().manual_seed(0)
    lengths = torch.randint(tokens // 2, tokens + 1, (rows,), generator=g).tolist()

    def jagged(values: list[torch.Tensor]) -> torch.Tensor:
        return torch.nested.as_nested_tensor(values, layout=torch.jagged)

    prompts = [torch.randint(3, VOCABULARY, (PROMPT,), generator=g) for _ in lengths]
    responses = [torch.randint(3, VOCABULARY, (n,), generator=g) for n in lengths]
    inputs = [torch.cat(pair) for pair in zip(prompts, responses, strict=True)]
    masks = [torch.ones(n, dtype=torch.int64) for n in lengths]
    data = TensorDict(
        {
            "prompts": jagged(prompts),
            "responses": jagged(responses),
            "input_ids": jagged(inputs),
            "position_ids": jagged([torch.arange(len(x)) for x in inputs]),
            "response_mask": jagged(masks),
            "loss_mask": jagged(masks),
            "old_log_probs": jagged([-6 + torch.randn(n, generator=g) for n in lengths]),
            "advantages": jagged([torch.randn(1, generator=g) * mask for mask in masks]),
            TOOL_ADVANTAGES: torch.randn(rows, generator=g),
            "multi_modal_inputs": NonTensorStack(*[{} for _ in range(rows)]),
        },
        batch_size=rows,
    )
    settings = {  # verl/trainer/ppo/v1/trainer_base.py, _update_actor
        "calculate_entropy": False,
        "distillation_use_topk": False,
        "distillation_only": False,
        "global_batch_size": rows,
        "mini_batch_size": rows,
        "epochs": 1,
        "seed": 1,
        "dataloader_kwargs": {"shuffle": False},
        "temperature": 1.0,
        "use_dynamic_bsz": True,
        "max_token_len_per_gpu": 65536,
    }
    for key, value in settings.items():
        tu.assign_non_tensor_data(data, key, value)
    return data


def make_worker(directory: Path) -> TrainingWorker:
    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=VOCABULARY,
        hidden_size=128,
        intermediate_size=256,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=4,
        head_dim=32,
        max_position_embeddings=8192,
    )
    Qwen3ForCausalLM(config).save_pretrained(directory)
    model = HFModelConfig(
        path=str(directory),
        load_tokenizer=False,
        use_remove_padding=False,
        enable_gradient_checkpointing=False,
        override_config={"attn_implementation": "sdpa"},
    )
    engine = FSDPEngineConfig(
        strategy="fsdp2",
        use_torch_compile=False,
        mixed_precision=dict.fromkeys(("param_dtype", "reduce_dtype", "buffer_dtype"), "fp32"),
    )
    worker = TrainingWorker(
        TrainingWorkerConfig(
            model_type="language_model",
            model_config=model,
            engine_config=engine,
            optimizer_config=FSDPOptimizerConfig(lr=0.0),
            checkpoint_config=CheckpointConfig(),
            profiler_config=None,
        )
    )
    worker.reset()
    return worker
