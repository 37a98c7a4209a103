"""Compose a run's config as ``verl.trainer.main_ppo`` does, validate it, and say which algorithm it is."""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Iterator

from omegaconf import DictConfig, OmegaConf
from verl.trainer.ppo.core_algos import ADV_ESTIMATOR_REGISTRY

from verl_hdpo.adapters.composed_config import compose
from verl_hdpo.adapters.names import AGENT_LOOP, REWARD_MANAGER
from verl_hdpo.adapters.run_settings import HDPO, run_settings
from verl_hdpo.doctor.run_files import check_files
from verl_hdpo.runs.finding import Finding
from verl_hdpo.runs.verl_command import STEPS

RUN = "Run"
HDPO_OWN = ("w_acc", "w_tool", "combine", "tool_loss_norm")


def check_composed(
    config_name: str, config_path: str | None, config_dir: str | None, overrides: list[str]
) -> Iterator[Finding]:
    """Compose, validate, describe, then look at the files; what cannot be done without the former is left out."""
    try:
        config = compose(config_name, config_path, config_dir, overrides)
        OmegaConf.to_container(config, resolve=True)
    except Exception as error:
        yield Finding(RUN, "FAIL", "config", _message(error), ("check the overrides and the config's name",))
        return
    yield Finding(RUN, "ok", "config", f"{config_name}, {len(overrides)} overrides")
    if steps := config.trainer.get("total_training_steps"):
        yield Finding(RUN, "ok", STEPS, str(steps))
    yield from validate(config)
    yield from _legacy_rewards(config)
    with contextlib.suppress(ValueError):  # bad settings: validate() has said so
        yield from describe(config)
        yield from _fit_together(config)
    yield from check_files(config)


def validate(config: DictConfig) -> Iterator[Finding]:
    """The first steps of verl/trainer/main_ppo.py's ``main``; the plugin's own check is part of ``validate_config``."""
    from verl.trainer import main_ppo

    warnings = _Collected(logging.WARNING)
    logging.getLogger("verl_hdpo").addHandler(warnings)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            main_ppo.auto_set_device(config)
            main_ppo.validate_config(
                config=config,
                use_reference_policy=main_ppo.need_reference_policy(config),
                use_critic=main_ppo.need_critic(config),
            )
    except Exception as error:
        yield Finding(RUN, "FAIL", "validate_config", _message(error))
    else:
        yield Finding(RUN, "ok", "validate_config", "verl's checks and HDPO's pass")
    finally:
        logging.getLogger("verl_hdpo").removeHandler(warnings)
    for text in warnings.texts:
        yield Finding(RUN, "warn", "settings", text)


def describe(config: DictConfig) -> Iterator[Finding]:
    """Which algorithm the run is, in one line.

    Raises:
        SettingsError: an unknown setting or a bad value under ``algorithm``.
    """
    run, estimator = run_settings(config), config.algorithm.adv_estimator
    if run is not None and run.algorithm is not None:
        settings = run.hdpo
        shown = {name: getattr(settings, name) for name in HDPO_OWN} if estimator == HDPO else run.algorithm.parameters
        values = ", ".join(f"{name}={f'{x:g}' if isinstance(x, float) else x}" for name, x in shown.items())
        costs = "".join(f", {tool} costs {cost:g}" for tool, cost in settings.tool_costs.items())
        text = (
            f"{'HDPO' if estimator == HDPO else estimator}: {values}, "
            f"advantages {'over' if run.norm_by_std else 'not over'} std, "
            f"T={settings.count_calls} calls{costs}, correct if {settings.correct_key} > "
            f"{settings.correct_threshold:g}"
        )
        yield Finding(RUN, "ok", "algorithm", text)
    elif estimator not in ADV_ESTIMATOR_REGISTRY:
        advice = f"use one of {', '.join(sorted(ADV_ESTIMATOR_REGISTRY))}"
        yield Finding(RUN, "FAIL", "algorithm", f"algorithm.adv_estimator={estimator} is not registered", (advice,))
    elif run is not None:
        yield Finding(RUN, "ok", "algorithm", f"stock {estimator}; HDPO observes only (hdpo/ metrics)")
    else:
        advice = "algorithm.adv_estimator=hdpo does"
        if estimator == "gdpo":
            advice = "verl's gdpo cannot run on its V1 trainer; algorithm.adv_estimator=tool_gdpo is GDPO that can"
        yield Finding(RUN, "warn", "algorithm", f"stock {estimator}: HDPO not chosen", (advice,))


def _fit_together(config: DictConfig) -> Iterator[Finding]:
    """The agent loop and the reward manager, which report what HDPO reads."""
    from verl.experimental.agent_loop.agent_loop import _agent_loop_registry, resolve_config_path
    from verl.trainer.ppo.reward import resolve_reward_manager_cls

    rollout, run = config.actor_rollout_ref.rollout, run_settings(config)
    loop, known = rollout.agent.default_agent_loop, set(_agent_loop_registry)
    try:
        if path := rollout.agent.get("agent_loop_config_path"):
            known |= {entry.name for entry in OmegaConf.load(resolve_config_path(path))}
    except Exception as error:
        yield Finding(RUN, "FAIL", "agent loop", f"agent_loop_config_path={path}: {_message(error)}")
    # Without it, a wrong name fails at the first rollout only (AgentLoopWorker._run_agent_loop).
    name = "actor_rollout_ref.rollout.agent.default_agent_loop"
    if loop not in known:
        yield Finding(
            RUN, "FAIL", "agent loop", f"{name}={loop} is not registered", (f"use one of {', '.join(sorted(known))}",)
        )
    else:
        yield Finding(RUN, "ok", "agent loop", loop)

    manager = config.reward.reward_manager.name
    try:
        resolve_reward_manager_cls(config)
    except Exception as error:
        yield Finding(RUN, "FAIL", "reward manager", _message(error), (f"reward.reward_manager.name={REWARD_MANAGER}",))
        return
    if manager == REWARD_MANAGER and loop == "tool_agent":
        yield Finding(
            RUN,
            "FAIL",
            "reward manager",
            f"{manager} needs to know which tokens the model wrote, which agent loop {loop} does not tell",
            (f"{name}={AGENT_LOOP}",),
        )
    elif run is not None and manager != REWARD_MANAGER:
        yield Finding(
            RUN,
            "warn",
            "reward manager",
            f"{manager}: HDPO reads reward_extra_info[{run.hdpo.correct_key!r}]; a number that your reward function "
            f"returns is taken for it, a dict must hold it for every sample",
            (f"or reward.reward_manager.name={REWARD_MANAGER}",),
        )
    else:
        yield Finding(RUN, "ok", "reward manager", manager)


def _legacy_rewards(config: DictConfig) -> Iterator[Finding]:
    """Settings in their old places, which verl 0.9 still accepts and main_ppo no longer reads."""
    for old, new in (
        ("custom_reward_function.path", "reward.custom_reward_function.path"),
        ("reward_model.reward_manager", "reward.reward_manager.name"),
        ("reward_model.enable", "reward.reward_model.enable"),
        ("reward_model.model.path", "reward.reward_model.model_path"),
        ("reward_model.reward_kwargs", "reward.reward_kwargs"),
        ("sandbox_fusion.url", "reward.sandbox_fusion.url"),
    ):
        if value := OmegaConf.select(config, old):
            yield Finding(
                RUN, "FAIL", old, f"{value}: verl.trainer.main_ppo does not read this legacy setting", (f"use {new}",)
            )


class _Collected(logging.Handler):
    def __init__(self, level: int):
        super().__init__(level)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())


def _message(error: BaseException) -> str:
    """What went wrong, for someone who reads no traceback."""
    text = str(error).strip() or "no message"
    cause = error.__cause__
    if cause is not None and str(cause) and str(cause) not in text:
        text += f"\n{cause}"
    return text if isinstance(error, ValueError) else f"{type(error).__name__}: {text}"
