"""verl's trainers, and which of them host this package; the table of docs/engines.md is made from this one."""

from __future__ import annotations

from typing import NamedTuple

from omegaconf import DictConfig

from verl_hdpo.adapters.names import TRAINER_MODES

V1_MODE = "trainer.v1.trainer_mode"


class Host(NamedTuple):
    """One of verl's trainers.

    Attributes:
        name: of the trainer.
        chosen_by: how a run chooses it.
        supported: whether HDPO and its rivals train in it.
        note: where it is not supported, why; else what it cannot do.
        advice: what to use in place of one that is not supported.
    """

    name: str
    chosen_by: str
    supported: bool = True
    note: str = ""
    advice: str = ""


SYNC, COLOCATE_ASYNC, SEPARATE_ASYNC = (Host(f"V1, {mode}", f"{V1_MODE}={mode}") for mode in TRAINER_MODES)
CLASSIC = Host(
    "classic, RayPPOTrainer",
    "trainer.use_v1=false",
    note="no reward model on the actor's GPUs; verl ignores algorithm.filter_groups there, and calls it deprecated",
)
ONE_STEP_OFF = Host(
    "one_step_off_policy",
    "python -m verl.experimental.one_step_off_policy.main_ppo",
    False,
    "it has the classic trainer's advantage step, but HDPO has not been run in it, and verl retires it",
    f"use python -m verl.trainer.main_ppo with {V1_MODE}=separate_async",
)
FULLY_ASYNC = Host(
    "fully_async_policy",
    "python -m verl.experimental.fully_async_policy.fully_async_main",
    False,
    "it trains and generates in processes of its own, in which HDPO has not been run, and verl retires it",
    f"use python -m verl.trainer.main_ppo with {V1_MODE}=separate_async",
)
HOSTS = (SYNC, COLOCATE_ASYNC, SEPARATE_ASYNC, CLASSIC, ONE_STEP_OFF, FULLY_ASYNC)


def host_of(config: DictConfig) -> Host | None:
    """The trainer that the config is for; None for a mode of trainer V1 that is not verl's."""
    if config.get("async_training"):  # what their configs add to ppo_trainer's
        return FULLY_ASYNC
    if config.get("rollout"):
        return ONE_STEP_OFF
    if not config.trainer.get("use_v1", False):
        return CLASSIC
    chosen = f"{V1_MODE}={config.trainer.get('v1', {}).get('trainer_mode')}"
    return next((host for host in HOSTS if host.chosen_by == chosen), None)


def hosts_table() -> str:
    """A row of Markdown for each of them."""
    rows = ["| trainer | chosen by | HDPO and its rivals | why, and what to know |", "|---|---|---|---|"]
    for host in HOSTS:
        support = "supported" if host.supported else "refused"
        note = host.note + (f": {host.advice}" if host.advice else "")
        rows.append(f"| {host.name} | `{host.chosen_by}` | {support} | {note} |")
    return "\n".join(rows) + "\n"
