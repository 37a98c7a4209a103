"""``python ray_update.py DIRECTORY OUTPUT``: verl's trainer from a generated batch to updated weights, with Ray.

Everything between the rollouts and the weights is real: TransferQueue, padding and balancing of the batch, the stock
``ActorRolloutRefWorker`` on two FSDP2 ranks, old log-probabilities, advantages, and two epochs of updates, once with
each setting of ``RUNS``. Only generation is left out: the rows are put into TransferQueue by hand.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import ray
import torch
import transfer_queue as tq
from hydra import compose, initialize_config_module
from omegaconf import DictConfig, OmegaConf
from ray_runs import CALLS, EPOCHS, GROUPS, RATE, RUNS
from reference import TEMPERATURE
from rollouts import PADDING, UNKNOWN, Rollouts
from tensordict import NonTensorStack, TensorDict
from transfer_queue import KVBatchMeta
from verl.single_controller.ray import RayClassWithInitArgs, RayResourcePool, RayWorkerGroup
from verl.single_controller.ray.base import create_colocated_worker_cls
from verl.trainer.main_ppo import get_ppo_ray_runtime_env
from verl.trainer.ppo.v1 import PPOTrainerSync
from verl.workers.engine_workers import ActorRolloutRefWorker

from verl_hdpo.adapters.trainer import hdpo_trainer
from verl_hdpo.outcomes.ledger import LEDGER_KEY, ToolLedger, ToolTally
from verl_hdpo.runs.cpu_settings import cpu_overrides

RANKS = 2


class _ActorOnly(PPOTrainerSync):
    """verl's trainer with the actor's workers, and nothing to generate with."""

    workers: RayWorkerGroup

    def _setup(self) -> None:
        self._init_tokenizer()
        self.global_steps = 1
        self.actor_rollout_wg = self.workers


def main(directory: Path, output: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="vh") as ray_dir:  # Ray's sockets need a short path
        config = _config(directory, ray_dir)
        ray_init = {"runtime_env": get_ppo_ray_runtime_env(config), **config.ray_kwargs.ray_init}
        ray.init(**OmegaConf.to_container(OmegaConf.create(ray_init), resolve=True))
        tq.init(config.transfer_queue)
        try:
            _run(directory, output, config)
        finally:
            tq.close()
            ray.shutdown()


def _run(directory: Path, output: Path, config: DictConfig) -> None:
    rollouts: Rollouts = torch.load(directory / "rollouts.pt", weights_only=False)
    workers = _ActorOnly.workers = _make_workers(config)
    workers.save_checkpoint(str(output / "initial"))
    for name, overrides in RUNS.items():
        workers.load_checkpoint(str(output / "initial"))
        trainer = hdpo_trainer(_ActorOnly)(config=_config(directory, None, *overrides))
        trainer._setup()
        metrics = _step(trainer, rollouts)
        workers.save_checkpoint(str(output / name))
        torch.save({key: float(value) for key, value in metrics.items()}, output / f"{name}.pt")


def _make_workers(config: DictConfig) -> RayWorkerGroup:
    """As ``PPOTrainer._setup`` makes them."""
    actor = RayClassWithInitArgs(cls=ray.remote(ActorRolloutRefWorker), config=config.actor_rollout_ref, role="actor")
    group = RayWorkerGroup(
        resource_pool=RayResourcePool([RANKS]),
        ray_cls_with_init=create_colocated_worker_cls({"actor": actor}),
        device_name="cpu",
    )
    workers = group.spawn(prefix_set=["actor"])["actor"]
    workers.init_model()
    return workers


def _step(trainer: PPOTrainerSync, rollouts: Rollouts) -> dict[str, float]:
    """A training step as ``PPOTrainer.step`` goes through it, from the rows on."""
    metrics: dict[str, float] = {}
    batch = _generated(rollouts)
    batch = trainer._balance_batch(batch, metrics)
    batch = trainer._compute_old_log_prob(batch, metrics)
    batch = trainer._compute_advantage(batch, metrics)
    batch = trainer._update_actor(batch, metrics)
    tq.kv_clear(keys=batch.keys, partition_id=batch.partition_id)
    return metrics


def _generated(rollouts: Rollouts) -> KVBatchMeta:
    """The rows as verl's agent loop leaves them in TransferQueue."""

    def jagged(rows: list[torch.Tensor]) -> torch.Tensor:
        return torch.nested.as_nested_tensor(rows[:PADDING], layout=torch.jagged)

    def last_token(value: float, mask: torch.Tensor) -> torch.Tensor:
        return torch.cat([torch.zeros(len(mask) - 1), torch.tensor([value])])

    inputs = [torch.cat(pair) for pair in zip(rollouts.prompts, rollouts.responses, strict=True)]
    # What the loop writes does not know yet which outcomes are unknown.
    masks = [torch.ones_like(mask) if row == UNKNOWN else mask for row, mask in enumerate(rollouts.masks)]
    correct = rollouts.correct_B.float().tolist()
    extra = [
        {
            "reward_extra_info": {"acc": correct[row], "outcome_known": float(row != UNKNOWN)},
            LEDGER_KEY: ToolLedger(rounds=1, tools={"calc": ToolTally(executed=calls)}).to_dict(),
        }
        for row, calls in enumerate(CALLS)
    ]
    fields = TensorDict(
        {
            "uid": NonTensorStack(*GROUPS),
            "prompts": jagged(rollouts.prompts),
            "responses": jagged(rollouts.responses),
            "input_ids": jagged(inputs),
            "position_ids": jagged([torch.arange(len(x)) for x in inputs]),
            "attention_mask": jagged([torch.ones_like(x) for x in inputs]),
            "response_mask": jagged(masks),
            "loss_mask": jagged(masks),
            "rm_scores": jagged([last_token(c, mask) for c, mask in zip(correct, masks, strict=True)]),
            "rollout_log_probs": jagged(rollouts.old_log_probs),
            "extra_fields": NonTensorStack(*extra),
            "data_source": NonTensorStack(*["tiny"] * PADDING),
            "num_turns": torch.full((PADDING,), 4),
            "multi_modal_inputs": NonTensorStack(*[{} for _ in range(PADDING)]),
        },
        batch_size=PADDING,
    )
    tags = [{"seq_len": len(x), "prompt_len": len(p)} for x, p in zip(inputs, rollouts.prompts, strict=True)][:PADDING]
    keys = [f"{group}_{session}_0" for session, group in enumerate(GROUPS)]
    return tq.kv_batch_put(keys=keys, partition_id="train", fields=fields, tags=tags)


def _config(directory: Path, ray_dir: str | None, *overrides: str) -> DictConfig:
    actor = "actor_rollout_ref.actor"
    with initialize_config_module("verl.trainer.config", version_base=None):
        return compose(
            "ppo_trainer",
            [
                *cpu_overrides(RANKS, ray_dir),
                "algorithm.adv_estimator=hdpo",
                f"actor_rollout_ref.model.path={directory / 'model'}",
                f"actor_rollout_ref.rollout.temperature={TEMPERATURE}",
                "actor_rollout_ref.rollout.n=4",
                f"{actor}.ppo_mini_batch_size=2",
                f"{actor}.ppo_epochs={EPOCHS}",
                f"{actor}.ppo_max_token_len_per_gpu=130",
                f"{actor}.use_kl_loss=False",
                f"{actor}.optim.optimizer=SGD",
                f"{actor}.optim.lr={RATE}",
                f"{actor}.optim.weight_decay=0",
                f"{actor}.optim.clip_grad=1e9",
                f"{actor}.checkpoint.save_contents=[model,hf_model]",
                f"{actor}.checkpoint.load_contents=[model]",
                "transfer_queue.enable=True",
                *overrides,
            ],
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
