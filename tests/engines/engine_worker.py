"""One rank of one layout: stock verl's ``TrainingWorker`` and engine, this package's loss, real optimizer steps."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
import wrong_losses
from layouts import LAYOUTS, Job, Layout, Outcome, jobs
from loss_settings import LOSS_SCALE_FACTOR, SETTINGS, LossSetting
from reference import DRO_BETA, TEMPERATURE
from rollouts import GROUPS, ROWS, Rollouts
from stock_worker import ON_GPU, export, make_worker, named_parameters, restore, set_rate
from tensordict import NonTensorStack, TensorDict
from verl.utils import tensordict_utils as tu
from verl.workers.config import ActorConfig
from verl.workers.config.actor import PolicyLossConfig
from verl.workers.engine_workers import TrainingWorker
from verl.workers.utils.losses import ppo_loss

from verl_hdpo.adapters.loss import TOOL_ADVANTAGES, aggregation, two_channel_loss
from verl_hdpo.algorithm.decisions import deciding_tokens, decision_advantages
from verl_hdpo.algorithm.estimators.priced import priced
from verl_hdpo.algorithm.qualifying import mini_batches, qualifying_scale
from verl_hdpo.algorithm.scalars import RolloutScalars

REPORTED = ("loss", "grad_norm", "hdpo/tool/pg_loss")


def run(name: str, directory: Path) -> tuple[dict[str, torch.Tensor], list[Outcome]]:
    """The initial weights and the outcomes of all jobs of a layout, seen from this rank."""
    layout = LAYOUTS[name]
    batch: Rollouts = torch.load(directory / "rollouts.pt", weights_only=False)
    worker = make_worker(layout, directory)
    initial = export(worker, layout)
    start = [p.data.clone() for _, p in named_parameters(worker)]
    outcomes = []
    for job in jobs(name):
        restore(worker, start)
        outcomes.append(train(worker, layout, batch.without_outcomes() if job.unknown else batch, job))
    return initial, outcomes


def train(
    worker: TrainingWorker, layout: Layout, batch: Rollouts, job: Job, fields: dict[str, Any] | None = None
) -> Outcome:
    """One job; ``fields`` replace those of the batch."""
    setting, calls = SETTINGS[job.setting], []
    config = actor_config(layout, setting)
    loss = _loss(job.loss, setting, config)

    def recording(model_output: dict, data: TensorDict, dp_group: Any = None):
        attached = model_output["log_probs"].requires_grad
        calls.append((len(data), int(data["input_ids"].offsets()[-1]), attached))
        return loss(model_output=model_output, data=data, dp_group=dp_group)

    worker.set_loss_fn(recording)
    set_rate(worker, job.rate)
    data = mini_batch_data(batch, setting, job, config, layout.dp)
    data.update(fields or {})
    if layout.dp > 1:
        data = tu.chunk_tensordict(data, layout.dp)[worker.engine.get_data_parallel_rank()]
    output = worker.train_mini_batch(data)
    weights = export(worker, layout)
    metrics = tu.get(output, "metrics") if output is not None else None
    return Outcome(
        job,
        weights if torch.distributed.get_rank() == 0 else None,
        metrics and {name: [float(x) for x in metrics[name]] for name in REPORTED if name in metrics},
        calls,
    )


def _loss(name: str, setting: LossSetting, config: ActorConfig) -> Callable:
    if name == "stock":
        return partial(ppo_loss, config=config)
    if name != "ours":
        return partial(getattr(wrong_losses, name), config=config)
    two_losses = setting.combine == "loss"  # as adapters/trainer.py sets it
    return partial(two_channel_loss, config, setting.w_acc if two_losses else 1.0, setting.w_tool * two_losses)


def mini_batch_data(batch: Rollouts, setting: LossSetting, job: Job, config: ActorConfig, dp_size: int) -> TensorDict:
    """The fields that verl's workers fetch when the actor is updated, all rows, as adapters/trainer.py writes them."""

    def jagged(rows: list[torch.Tensor]) -> torch.Tensor:
        return torch.nested.as_nested_tensor(rows, layout=torch.jagged)

    inputs = [torch.cat(pair) for pair in zip(batch.prompts, batch.responses, strict=True)]
    acc_B, tool_B = batch.acc_B, batch.tool_B
    if setting.price is not None:
        known_B, correct_B = batch.tokens_B > 0, batch.correct_B
        scalars = RolloutScalars(correct_B.float(), torch.tensor(GROUPS), known_B, correct_B, batch.cost_B)
        acc_B = priced(scalars, price=setting.price).accuracy_B
    elif setting.combine == "advantage":
        acc_B = setting.w_acc * acc_B + setting.w_tool * tool_B
    elif setting.tool_loss_norm == "qualifying":
        mini_batch_B = mini_batches(ROWS, ROWS // job.mini_batches, dp_size)
        by = aggregation(config)
        tool_B = tool_B * qualifying_scale(mini_batch_B, batch.correct_B, batch.tokens_B, by).float()
    data = TensorDict(
        {
            "prompts": jagged(batch.prompts),
            "responses": jagged(batch.responses),
            "input_ids": jagged(inputs),
            "position_ids": jagged([torch.arange(len(x)) for x in inputs]),
            "response_mask": jagged(batch.masks),
            "loss_mask": jagged([mask.clone() for mask in batch.masks]),
            "old_log_probs": jagged(batch.old_log_probs),
            "ref_log_prob": jagged(batch.ref_log_probs),
            "advantages": jagged([a * m for a, m in zip(acc_B, batch.masks, strict=True)]),
            "multi_modal_inputs": NonTensorStack(*[{} for _ in range(ROWS)]),
        },
        batch_size=ROWS,
    )
    if setting.importance_weights:
        data["rollout_is_weights"] = jagged(batch.importance_weights)
    if setting.combine == "loss" and setting.w_tool:
        data[TOOL_ADVANTAGES] = tool_B
        if setting.tool_tokens == "decision":  # as adapters/queued_batch.py writes it
            spans = [[[at, at + 1] for at in row.nonzero().flatten().tolist()] for row in batch.decides]
            data[TOOL_ADVANTAGES] = jagged(decision_advantages(tool_B, [*map(deciding_tokens, spans, batch.masks)]))
    size = (
        {"micro_batch_size_per_gpu": job.split.rows} if job.split.rows else {"max_token_len_per_gpu": job.split.tokens}
    )
    for key, value in {  # verl/trainer/ppo/v1/trainer_base.py, _update_actor
        "calculate_entropy": setting.entropy_coeff != 0,
        "distillation_use_topk": False,
        "distillation_only": False,
        "global_batch_size": ROWS // job.mini_batches,
        "mini_batch_size": ROWS // job.mini_batches,
        "epochs": 1,
        "seed": 1,
        "dataloader_kwargs": {"shuffle": False},
        "temperature": TEMPERATURE,
        "use_dynamic_bsz": job.split.rows is None,
        **size,
    }.items():
        tu.assign_non_tensor_data(data, key, value)
    return data


def actor_config(layout: Layout, setting: LossSetting) -> ActorConfig:
    return ActorConfig(
        strategy=layout.engine,
        rollout_n=1,
        ppo_micro_batch_size_per_gpu=1,
        loss_agg_mode=setting.agg_mode,
        loss_scale_factor=LOSS_SCALE_FACTOR,
        policy_loss=PolicyLossConfig(loss_mode=setting.loss_mode, dro_beta=DRO_BETA),
        entropy_coeff=setting.entropy_coeff,
        use_kl_loss=setting.kl_coef != 0,
        kl_loss_coef=setting.kl_coef,
    )


def rank_main(name: str, directory: Path, output: Path, rank: int) -> None:
    """What a forked process does: its rank of the layout, then its outcomes into ``output``."""
    layout = LAYOUTS[name]
    os.environ.update(
        RANK=str(rank),
        LOCAL_RANK=str(rank),
        WORLD_SIZE=str(layout.world),
        LOCAL_WORLD_SIZE=str(layout.world),
        MASTER_ADDR="127.0.0.1",
        MASTER_PORT="0",
        DIST_INIT_METHOD=f"file://{output}/store",
    )
    if ON_GPU:
        torch.cuda.set_device(rank)
    torch.save(run(name, directory), output / f"{rank}.pt")
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()
