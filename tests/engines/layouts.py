"""What is run: engines with their parallel layouts, ways to split a mini-batch, and the single updates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from loss_settings import SETTINGS
from rollouts import ROWS
from torch import Tensor


@dataclass(frozen=True)
class Layout:
    """One of verl's engines over ``world`` processes.

    Attributes:
        packed: verl's ``use_remove_padding``: rows one after the other ("thd"), or padded to a rectangle ("bshd").
        sp: Ulysses sequence parallelism of FSDP.
        tp, pp, vpp, cp, ep: Megatron's; tp with its sequence parallelism.
        model: one of ``tiny_model.MODELS``.
        per_token_loss: Megatron's ``calculate_per_token_loss``.
        settings: names of ``SETTINGS`` that are compared with the reference.
    """

    engine: Literal["fsdp", "fsdp2", "megatron"]
    settings: tuple[str, ...]
    world: int = 1
    packed: bool = True
    sp: int = 1
    tp: int = 1
    pp: int = 1
    vpp: int | None = None
    cp: int = 1
    ep: int = 1
    model: Literal["dense", "experts"] = "dense"
    lora: bool = False
    sync_every_micro_batch: bool = False
    distributed_optimizer: bool = True
    per_token_loss: bool = False

    @property
    def dp(self) -> int:
        return self.world // (self.sp * self.tp * self.pp * self.cp)


ALL = tuple(SETTINGS)
LAYOUTS = {
    "fsdp": Layout("fsdp", ("paper", "qualifying", "decision", "everything", "seq-norm")),
    "fsdp2": Layout("fsdp2", ALL),
    "fsdp2-padded": Layout(
        "fsdp2", ("paper", "priced", "decision", "advantage-seq-mean", "gspo", "token-sum"), packed=False
    ),
    "fsdp2-dp2": Layout("fsdp2", ALL, world=2),
    "fsdp2-dp2-no-sync": Layout("fsdp2", ("paper", "seq-mean"), world=2, sync_every_micro_batch=True),
    "fsdp2-sp2": Layout("fsdp2", ("paper", "decision", "qualifying", "advantage", "gspo", "everything"), world=2, sp=2),
    "fsdp2-lora": Layout("fsdp2", ("paper", "qualifying", "cispo", "everything"), lora=True),
    "megatron": Layout("megatron", ALL),
    "megatron-padded": Layout("megatron", ("paper", "decision", "seq-norm", "sapo"), packed=False),
    "megatron-tp2": Layout("megatron", ("paper", "qualifying", "cispo", "everything"), world=2, tp=2),
    "megatron-tp2-padded": Layout("megatron", ("paper", "token-sum"), world=2, tp=2, packed=False),
    "megatron-pp2": Layout(
        "megatron", ("paper", "priced", "decision", "qualifying", "advantage", "gpg", "everything"), world=2, pp=2
    ),
    "megatron-vpp2": Layout("megatron", ("paper", "seq-sum", "dppo-tv"), world=2, pp=2, vpp=2),
    "megatron-cp2": Layout("megatron", ("paper", "decision", "qualifying", "gspo", "everything"), world=2, cp=2),
    "megatron-dp2": Layout(
        "megatron", ("paper", "decision-everything", "qualifying", "seq-norm", "dro", "everything"), world=2
    ),
    "megatron-dp2-local-optimizer": Layout(
        "megatron", ("paper", "tool-only", "dppo-kl"), world=2, distributed_optimizer=False
    ),
    "megatron-tp2-pp2": Layout("megatron", ("paper", "advantage-seq-mean", "sapo"), world=4, tp=2, pp=2),
    "megatron-per-token-loss": Layout("megatron", ("paper", "seq-mean", "everything"), world=2, per_token_loss=True),
    "megatron-cp2-per-token-loss": Layout("megatron", ("paper", "qualifying"), world=2, cp=2, per_token_loss=True),
    "megatron-experts": Layout("megatron", ("paper", "decision"), model="experts"),
    "megatron-experts-ep2": Layout("megatron", ("paper", "qualifying", "everything"), world=2, ep=2, model="experts"),
}


@dataclass(frozen=True)
class Split:
    """How a rank cuts its share: ``rows`` per micro-batch, or by verl's dynamic batch size up to ``tokens``."""

    rows: int | None = None
    tokens: int | None = None

    def __str__(self) -> str:
        return f"{self.rows} rows" if self.rows else f"up to {self.tokens} tokens"


SPLITS = (Split(rows=1), Split(rows=4), Split(tokens=24), Split(rows=2), Split(tokens=60))


@dataclass(frozen=True)
class Job:
    """One call of verl's ``train_mini_batch``, from the initial weights.

    Attributes:
        loss: ``ours``; ``stock``, verl's ``ppo_loss``; or one of ``WRONG_LOSSES``.
        unknown: every outcome of the batch is unknown.
        mini_batches: optimizer steps that the rows are divided into.
        rate: learning rate of plain gradient descent. The weights are read back, and (before - after) / rate is the
            gradient; a power of two loses no digits.
    """

    setting: str
    split: Split
    loss: str = "ours"
    unknown: bool = False
    mini_batches: int = 1
    rate: float = 16.0


@dataclass
class Outcome:
    """What one rank saw of a job.

    Attributes:
        weights: after the last step, under Hugging Face's names; on rank 0 alone.
        metrics: of each optimizer step, as verl's worker reports them; None on ranks that it collects nothing from.
        calls: (rows, tokens, gradient attached) of each micro-batch that the loss was called with.
    """

    job: Job
    weights: dict[str, Tensor] | None
    metrics: dict[str, list[float]] | None
    calls: list[tuple[int, int, bool]]


TWO_STEPS = Job("qualifying", Split(rows=1), mini_batches=2, rate=1.0)
STOCK_JOBS = tuple(Job("no-tool", Split(tokens=24), loss) for loss in ("ours", "stock"))
UNKNOWN_JOB = Job("qualifying", Split(rows=2), unknown=True)
WRONG_LOSSES = (
    "micro_batch_mean",
    "times_number_of_micro_batches",
    "no_tool_term",
    "summed_before_clipping",
    "qualifying_by_micro_batch",
)
"""Functions in wrong_losses.py, run under the layouts ``CONTROLLED``."""
CONTROLLED = ("fsdp2", "megatron")


def jobs(name: str) -> list[Job]:
    """All that is run under one layout: its first setting in every split, of the others each in another one."""
    first, *others = LAYOUTS[name].settings
    turn = [*LAYOUTS].index(name)
    found = [Job(first, split) for split in SPLITS]
    found += [Job(setting, SPLITS[(turn + i) % len(SPLITS)]) for i, setting in enumerate(others)]
    if name in CONTROLLED:
        found += [Job("qualifying", Split(rows=4), loss) for loss in WRONG_LOSSES]
    return [*dict.fromkeys([*found, *STOCK_JOBS, UNKNOWN_JOB, TWO_STEPS])]


assert ROWS % (2 * TWO_STEPS.mini_batches) == 0, "two ranks share each mini-batch evenly"
