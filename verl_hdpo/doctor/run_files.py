"""The files that a run's config names: data, model, tools, reward function."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf

from verl_hdpo.adapters.tool_prompt import shows_tools
from verl_hdpo.evaluation.rows import MixedSchemasError, RowsError, check_rows
from verl_hdpo.outcomes.ledger import UNKNOWN_TOOL
from verl_hdpo.runs.cpu_settings import on_cpu
from verl_hdpo.runs.finding import Finding
from verl_hdpo.settings.agent_loop import AgentLoopSettings

FILES = "Files"
LOOKED_THROUGH = 64 << 20
"""Bytes of a data file that takes seconds to read."""
HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
REMOTE = re.compile(r"\w+://")
OFFLINE = " (offline: it must be in the cache; HF_HUB_OFFLINE=0 lets a run get it, on the CPU too)"


class _Wrong(Exception):
    """What is wrong with a file, and what to do."""

    def __init__(self, found: str, advice: str):
        super().__init__(found)
        self.advice = advice


def check_files(config: DictConfig) -> Iterator[Finding]:
    """Each file that the run will read, with the first row of the data sets."""
    for split in ("train", "val"):
        yield from _data(config, split)
    checks: list[tuple[str, Callable[[DictConfig], str | None]]] = [
        ("model", _model),
        ("tools", _tools),
        ("prompt", _prompt),
        ("reward function", _reward_function),
    ]
    for subject, check in checks:
        try:
            if found := check(config):
                yield Finding(FILES, "ok", subject, found)
        except _Wrong as wrong:
            yield Finding(FILES, "FAIL", subject, str(wrong), (wrong.advice,))


def _data(config: DictConfig, split: str) -> Iterator[Finding]:
    name = f"data.{split}_files"
    files = config.data[f"{split}_files"]
    rows = 0
    for file in files if isinstance(files, ListConfig | list) else [files]:
        if file is None or REMOTE.match(str(file)):
            yield Finding(FILES, "warn", name, f"{file}: not looked into")
            return
        try:
            path = Path(file).expanduser()
            if not path.is_file():
                raise _Wrong(f"{file} does not exist", f"set {name} to a parquet or json file")
            count, row = first_row(path)
            rows += count
            yield Finding(FILES, "ok", name, f"{file}: {count} rows, {_checked_row(config, row)}")
            yield from _own_agent(config, name, row)
            yield from _every_row(config, name, path)
        except _Wrong as wrong:
            yield Finding(FILES, "FAIL", name, str(wrong), (wrong.advice,))
            return
    wanted = config.data.get("gen_batch_size") or config.data.train_batch_size
    if split == "train" and rows < wanted:
        yield Finding(
            FILES,
            "FAIL",
            name,
            f"{rows} rows do not fill one batch of data.train_batch_size={wanted}, and verl drops the last",
            ("lower data.train_batch_size or give more data",),
        )


def _every_row(config: DictConfig, name: str, path: Path) -> Iterator[Finding]:
    """What is wrong with a row other than the first; large files and data sets of one's own are not looked through."""
    if path.stat().st_size > LOOKED_THROUGH or (config.data.get("custom_cls") or {}).get("path"):
        return
    try:
        check_rows([path], config.data.get("prompt_key", "prompt"))
    except MixedSchemasError as error:
        yield Finding(FILES, "warn", name, str(error))
    except RowsError as error:
        raise _Wrong(str(error), "write the file again, or leave the row out") from error


def first_row(path: Path) -> tuple[int, dict[str, Any]]:
    """Number of rows of a parquet, json or jsonl file, and the first of them.

    Raises:
        _Wrong: another format, an unreadable file, or no row.
    """
    try:
        if path.suffix == ".parquet":
            import pyarrow.parquet

            file = pyarrow.parquet.ParquetFile(path)
            rows = next((batch.to_pylist() for batch in file.iter_batches(batch_size=1)), [])
            count = file.metadata.num_rows
        elif path.suffix in (".json", ".jsonl"):
            text = path.read_text()
            if text.lstrip().startswith("["):
                rows = json.loads(text)
                count = len(rows)
            else:
                lines = [line for line in text.split("\n") if line.strip()]
                rows, count = [json.loads(line) for line in lines[:1]], len(lines)
        else:
            raise _Wrong(f"{path} is neither .parquet nor .json nor .jsonl", "verl reads these three formats")
    except (OSError, ValueError) as error:  # pyarrow's and json's errors are ValueErrors
        raise _Wrong(f"{path} cannot be read: {error}", "write the file again") from error
    if not rows:
        raise _Wrong(f"{path} has no rows", "write the file again")
    return count, rows[0]


def _checked_row(config: DictConfig, row: dict[str, Any]) -> str:
    """What the first row holds, once it has what verl's data set and reward loop read."""
    if (config.data.get("custom_cls") or {}).get("path"):
        return "columns left to data.custom_cls"
    columns = f"the columns are {', '.join(row)}"
    prompt_key = config.data.get("prompt_key", "prompt")
    prompt = row.get(prompt_key)
    if not (isinstance(prompt, list) and prompt and all(isinstance(m, dict) and "role" in m for m in prompt)):
        raise _Wrong(
            f"the first row has no chat under {prompt_key!r}; {columns}",
            f'{prompt_key} must be a list of messages: [{{"role": "user", "content": "..."}}]',
        )
    if not isinstance(row.get("data_source"), str):
        raise _Wrong(
            f"the first row has no string under 'data_source'; {columns}", "name the data set: metrics are per source"
        )
    model = row.get("reward_model")
    if not isinstance(model, dict) or model.get("ground_truth") is None:
        raise _Wrong(
            f"the first row has no reward_model.ground_truth; {columns}",
            'add the column reward_model: {"style": "rule", "ground_truth": "..."}',
        )
    return f"data_source {row['data_source']!r}"


def _own_agent(config: DictConfig, name: str, row: dict[str, Any]) -> Iterator[Finding]:
    agent_name, default = row.get("agent_name"), config.actor_rollout_ref.rollout.agent.default_agent_loop
    if agent_name and agent_name != default:
        # AgentLoopWorker.generate_sequences takes the default only for data without that column.
        found = f"the first row's agent_name={agent_name} wins over default_agent_loop={default}"
        yield Finding(FILES, "warn", name, found, ("drop the column agent_name if that is not meant",))


def _model(config: DictConfig) -> str:
    name, path = "actor_rollout_ref.model.path", str(config.actor_rollout_ref.model.path)
    local = Path(path).expanduser()
    if local.is_dir():
        if not (local / "config.json").is_file():
            raise _Wrong(f"{path} has no config.json", f"set {name} to a Hugging Face model")
        return path
    if REMOTE.match(path):
        return f"{path}: remote, not looked into"
    if HUB_ID.fullmatch(path) and not path.startswith("."):
        set_to = os.environ.get("HF_HUB_OFFLINE", "1" if on_cpu() else "0").lower()  # as ENVIRONMENT there
        offline = "" if set_to in ("", "0", "false", "no", "off") else OFFLINE
        return f"{path}: taken as a name on the hub{offline}"
    raise _Wrong(f"{path} does not exist", f"set {name} to a folder with a Hugging Face model, or to owner/name")


def _tools(config: DictConfig) -> str | None:
    given = _tool_paths(config)
    if not given:
        return None
    shown = ", ".join(f"{name}={path}" for name, path in given.items())
    try:
        tools = _loaded_tools(given)
    except Exception as error:  # whatever the user's file raises
        raise _Wrong(f"{shown}: {type(error).__name__}: {error}", "the file must exist and import") from error
    if not tools:
        raise _Wrong(f"{shown}: no tool in it", "decorate your functions with @function_tool")
    names = [tool.name for tool in tools]
    costs = OmegaConf.select(config, "algorithm.hdpo.tool_costs") or {}
    if unknown := [name for name in costs if name not in (*names, UNKNOWN_TOOL)]:
        raise _Wrong(
            f"algorithm.hdpo.tool_costs names {', '.join(unknown)}, and the tools are {', '.join(names)}",
            "name a tool as the model calls it",
        )
    timeout = OmegaConf.select(config, "algorithm.hdpo.tool_timeout", default=AgentLoopSettings().tool_timeout)
    for tool in tools:
        # An attribute of this package's tools that may wait: seconds after which a call has an answer or none.
        ends_within = getattr(tool, "ends_within", 0.0)
        if isinstance(timeout, int | float) and ends_within >= timeout:
            raise _Wrong(
                f"a call of {tool.name} may take {ends_within:g} s, waiting included, and algorithm.hdpo.tool_timeout "
                f"is {timeout:g} s: an outage would count as a call that the model took too long with",
                "lower the tool's timeout, wait_seconds or deadline, or raise tool_timeout",
            )
    return ", ".join(names)


def _prompt(config: DictConfig) -> str | None:
    """That the chat template tells the model of the tools; None where tools, template or rows are not at hand."""
    from transformers import AutoTokenizer

    given, model = _tool_paths(config), config.actor_rollout_ref.model
    local, files = Path(model.path).expanduser(), config.data.train_files
    if not given or not (local / "tokenizer_config.json").is_file():
        return None
    try:
        tools = _loaded_tools(given)
        _, row = first_row(Path(files[0] if isinstance(files, ListConfig | list) else files).expanduser())
        messages = row[config.data.get("prompt_key", "prompt")]
    except Exception:  # the checks of tools and data say what is wrong
        return None
    try:
        tokenizer = AutoTokenizer.from_pretrained(local, trust_remote_code=model.get("trust_remote_code", False))
    except Exception as error:  # whatever the files are
        raise _Wrong(f"the tokenizer in {model.path}: {error}", "write the model's folder again") from error
    if model.get("custom_chat_template"):
        tokenizer.chat_template = model.custom_chat_template
    try:
        shown = shows_tools(tokenizer, messages, tools, config.data.get("apply_chat_template_kwargs"))
    except Exception as error:  # whatever the template raises
        raise _Wrong(f"the chat template of {model.path}: {error}", "it must take the prompts and the tools") from error
    if not shown:
        raise _Wrong(
            f"the chat template of {model.path} shows none of {', '.join(tool.name for tool in tools)}, so the model "
            f"cannot know of them",
            "use a model, or an actor_rollout_ref.model.custom_chat_template, that supports tools",
        )
    return "the chat template shows the tools"


def _tool_paths(config: DictConfig) -> dict[str, str]:
    """verl's settings that name tools, as far as they are set."""
    multi_turn = config.actor_rollout_ref.rollout.multi_turn
    return {name: path for name in ("tool_config_path", "function_tool_path") if (path := multi_turn.get(name))}


def _loaded_tools(given: dict[str, str]) -> list[Any]:
    from verl.experimental.agent_loop.agent_loop import resolve_config_path
    from verl.tools.tool_registry import load_all_tools

    paths = {"tool_config_path": None, "function_tool_path": None, **given}
    with redirect_stdout(StringIO()):
        return load_all_tools(**{name: path and resolve_config_path(path) for name, path in paths.items()})


def _reward_function(config: DictConfig) -> str | None:
    from verl.trainer.ppo.reward import get_custom_reward_fn

    path = OmegaConf.select(config, "reward.custom_reward_function.path")
    if not path:
        return None
    name = config.reward.custom_reward_function.name
    try:
        with redirect_stdout(StringIO()):
            get_custom_reward_fn(config)
    except Exception as error:  # whatever the user's file raises
        raise _Wrong(
            f"{path}: {type(error).__name__}: {error}", f"the file must exist, import, and define {name}"
        ) from error
    return f"{path}: {name}"
