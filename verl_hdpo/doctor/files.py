"""The files and folders that a config names: do they exist?"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from verl_hdpo.adapters.user_code import config_file
from verl_hdpo.doctor.sections import FILES
from verl_hdpo.runs.finding import Finding
from verl_hdpo.runs.rows import RowsError, check_file

Lookup = Callable[[str], Any]
"""The value under a key of the config; None where it has none."""

HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
REMOTE = re.compile(r"\w+://")
OFFLINE = " (offline: it must be in the cache; HF_HUB_OFFLINE=0 lets a run get it, on the CPU too)"

RESUME = "trainer.resume_from_path"
MODEL = "actor_rollout_ref.model.path"
MODEL_FILES = (
    "actor_rollout_ref.model.tokenizer_path",
    "actor_rollout_ref.model.hf_config_path",
    "actor_rollout_ref.model.lora_adapter_path",
)
"""Folders, or names on the hub; unset, verl takes the first two from the model's."""
DATA_FILES = ("data.train_files", "data.val_files")
CONFIG_FILES = {
    "actor_rollout_ref.rollout.multi_turn.tool_config_path": "a tool yaml",
    "actor_rollout_ref.rollout.multi_turn.function_tool_path": "a Python file of function tools",
    "actor_rollout_ref.rollout.agent.agent_loop_config_path": "a yaml of agent loops",
}
"""Files that verl also looks for beside its own package."""
CODE_FILES = {
    "reward.custom_reward_function.path": "the Python file of your reward function",
    "reward.reward_manager.module.path": "the Python file of your reward manager",
    "data.custom_cls.path": "the Python file of your data set class",
    "trainer.v1.sampler.custom_sampler.path": "the Python file of your sampler",
}
"""Python files, or modules as ``pkg://...``."""


def missing_files(get: Lookup) -> Iterator[Finding]:
    """A finding for each file or folder that does not exist or cannot be what it must be."""
    for name in () if get("data.custom_cls.path") else DATA_FILES:  # what such a class reads is its own matter
        for file in listed(get(name)):
            if not REMOTE.match(file):
                try:
                    check_file(file)
                except RowsError as error:
                    yield Finding(FILES, "FAIL", name, error.found, (error.advice,))
    for name, what in CONFIG_FILES.items():
        if (path := get(name)) and config_file(str(path)) is None:
            yield _missing(name, str(path), what)
    for name in CODE_FILES:
        path = str(get(name) or "").removeprefix("file://")
        if path and not REMOTE.match(path) and not os.path.isfile(path):
            yield missing_code(name, path)
    for name in MODEL_FILES:
        path = str(get(name) or "")
        if path and path != str(get(MODEL)) and not (Path(path).expanduser().exists() or _elsewhere(path)):
            yield _missing(name, path, "a folder, or owner/name")
    if get("trainer.resume_mode") == "resume_path" and (finding := _resume(get(RESUME))):
        yield finding
    if (path := get(MODEL)) is not None and (problem := model_problem(str(path))):
        yield problem


def _resume(path: Any) -> Finding | None:
    """What is wrong with the checkpoint that a run goes on from."""
    what = "the folder global_step_... of a checkpoint"
    if not path:
        found = f"{RESUME} is not set, and trainer.resume_mode=resume_path goes on from there"
    elif not Path(str(path)).expanduser().exists():
        return _missing(RESUME, str(path), what)
    elif "global_step_" not in str(path):  # verl asserts it
        found = f"{path} is not the folder of a step: verl wants global_step_ in its name"
    else:
        return None
    return Finding(FILES, "FAIL", "resume_from_path", found, (f"set {RESUME} to {what}",))


def listed(value: Any) -> list[str]:
    """The files under a key that takes one or several."""
    several = value if isinstance(value, list | tuple) else [value]
    return [str(file) for file in several if file not in (None, "")]


def model_problem(path: str) -> Finding | None:
    """What is wrong with ``actor_rollout_ref.model.path``, a folder or a name on the hub."""
    if not path:
        return Finding(FILES, "FAIL", "model", f"{MODEL} is empty", (f"set {MODEL} to a Hugging Face model",))
    local = Path(path).expanduser()
    if local.is_dir():
        if (local / "config.json").is_file():
            return None
        return Finding(FILES, "FAIL", "model", f"{path} has no config.json", (f"set {MODEL} to a Hugging Face model",))
    if _elsewhere(path):
        return None
    advice = f"set {MODEL} to a folder with a Hugging Face model, or to owner/name"
    return Finding(FILES, "FAIL", "model", f"{path} does not exist", (advice,))


def _elsewhere(path: str) -> bool:
    """Whether a path is a remote one, or a name on the hub."""
    return bool(REMOTE.match(path) or (HUB_ID.fullmatch(path) and not path.startswith(".")))


def model(path: str) -> Finding:
    """The model of a run, as far as can be seen without loading it."""
    if problem := model_problem(path):
        return problem
    told = path
    if REMOTE.match(path):
        told += ": remote, not looked into"
    elif not Path(path).expanduser().is_dir():
        on_cpu = os.environ.get("VERL_PLATFORM", "").strip().lower() == "cpu"  # cpu.settings.ENVIRONMENT
        set_to = os.environ.get("HF_HUB_OFFLINE", "1" if on_cpu else "0").lower()
        told += f": taken as a name on the hub{'' if set_to in ('', '0', 'false', 'no', 'off') else OFFLINE}"
    return Finding(FILES, "ok", "model", told)


def missing_code(name: str, path: str) -> Finding:
    """What to say of a Python file, the value of the setting ``name``, that does not exist."""
    return _missing(name, path.removeprefix("file://"), CODE_FILES[name])


def _missing(name: str, path: str, what: str) -> Finding:
    where = "" if os.path.isabs(path) else f" in {os.getcwd()}"
    return Finding(FILES, "FAIL", name.rpartition(".")[2], f"{path} does not exist{where}", (f"set {name} to {what}",))
