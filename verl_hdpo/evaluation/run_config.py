"""The config of the run whose tools, loop and reward an evaluation uses, and the files with its questions."""

from __future__ import annotations

from collections.abc import Sequence

from hydra.errors import HydraException
from omegaconf import DictConfig, ListConfig, OmegaConf

from verl_hdpo.adapters.composed_config import compose
from verl_hdpo.adapters.override_problems import compose_telling_all
from verl_hdpo.runs.override import key_of
from verl_hdpo.runs.rows import check_rows
from verl_hdpo.runs.verl_command import VerlConfig

DEFAULTS = {
    "actor_rollout_ref.rollout.name": (None, "vllm"),
    "actor_rollout_ref.rollout.agent.default_agent_loop": ("single_turn_agent", "hdpo_tool_agent"),
    "reward.reward_manager.name": ("naive", "hdpo"),
}
"""What is taken in place of verl's own value, where neither the run's config nor its overrides say another."""


class EvaluationError(ValueError):
    """Settings with which tool use cannot be measured; the message says what to do."""


def run_config(base: VerlConfig, overrides: Sequence[str]) -> DictConfig:
    """The composed config.

    Raises:
        EvaluationError: verl's config has no such settings; all of them are told.
    """
    try:
        config = compose(base.config_name, base.config_path, base.config_dir, list(overrides))
    except HydraException:
        _, problems = compose_telling_all(base.config_name, base.config_path, base.config_dir, overrides)
        told = "\n".join(f"  - {problem.found}; {problem.advice}" for problem in problems)
        raise EvaluationError(f"the overrides do not fit verl's config:\n{told}") from None
    named = set(map(key_of, overrides))
    for setting, (stock, ours) in DEFAULTS.items():
        if setting not in named and OmegaConf.select(config, setting) == stock:
            OmegaConf.update(config, setting, ours)
    return config


def question_files(config: DictConfig, given: Sequence[str]) -> list[str]:
    """The files ``given``, else ``data.val_files``, once every row is found to be right.

    Raises:
        RowsError: a row that cannot be evaluated.
    """
    found = given or config.data.val_files
    files = [str(file) for file in (found if isinstance(found, list | tuple | ListConfig) else [found])]
    if not (config.data.get("custom_cls") or {}).get("path"):
        check_rows(files, config.data.get("prompt_key", "prompt"), config.data.get("image_key", "images"))
    return files
