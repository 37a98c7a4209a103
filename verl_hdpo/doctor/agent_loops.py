"""The agent loops that a run uses: its default one, or those that the data name."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf
from verl.experimental.agent_loop.agent_loop import _agent_loop_registry

from verl_hdpo.adapters.names import SINGLE_TURN
from verl_hdpo.adapters.problem import AgentLoops
from verl_hdpo.adapters.user_code import class_problems, config_file
from verl_hdpo.doctor.data import Rows
from verl_hdpo.doctor.sections import DATA, RUN
from verl_hdpo.runs.finding import Finding
from verl_hdpo.runs.verl_keys import DEFAULT_LOOP

COLUMN = "agent_name"


def loops_in_use(config: DictConfig, data: Mapping[str, Rows]) -> AgentLoops:
    """The loops that roll out the data's rows."""
    default = AgentLoops.of(config)
    # AgentLoopWorker.generate_sequences takes the default only for data without that column.
    by_split = {split: tuple(map(str, rows.agents)) or default.names for split, rows in data.items()}
    if not any(rows.agents for rows in data.values()):
        return default
    names = tuple(dict.fromkeys(name for names in by_split.values() for name in names))
    advice = f"{default.advice}, and write that into the data's column {COLUMN}, or drop the column: it wins"
    return AgentLoops(names, by_split.get("train", names), advice)


def check_agent_loops(config: DictConfig, data: Mapping[str, Rows], refused: Collection[str]) -> Iterator[Finding]:
    """That every loop in use is known, and can be made.

    Args:
        refused: loops of which more is said elsewhere.
    """
    known = dict(_agent_loop_registry)
    path = config.actor_rollout_ref.rollout.agent.get("agent_loop_config_path")
    for problem in _add_configured(path, known) if path else ():
        yield Finding(RUN, "FAIL", "agent loop", f"agent_loop_config_path={path}: {problem}", ("mend that file",))
    default, names = config.actor_rollout_ref.rollout.agent.default_agent_loop, f"use one of {', '.join(sorted(known))}"
    if not data or not all(rows.agents for rows in data.values()):
        if default not in known:
            found = f"{DEFAULT_LOOP}={default} is not registered"
            yield Finding(RUN, "FAIL", "agent loop", found, (names,))
        elif default not in refused:
            yield Finding(RUN, "ok", "agent loop", default)
    for split, rows in data.items():
        subject = f"data.{split}_files"
        for name, tally in rows.agents.items():
            if name is None:
                found = f"{tally}: {COLUMN} is null, and verl takes the default only for data without that column"
                yield Finding(DATA, "FAIL", subject, found, (f"fill it in every row, or drop the column {COLUMN}",))
            elif name not in known:
                yield Finding(DATA, "FAIL", subject, f"{tally}: {COLUMN}={name} is not registered", (names,))
            elif name in (default, *refused) or default == SINGLE_TURN:
                yield Finding(DATA, "ok", subject, f"{tally}: {COLUMN}={name}")
            else:
                found = f"{tally}: {COLUMN}={name} wins over default_agent_loop={default}"
                yield Finding(DATA, "warn", subject, found, (f"drop the column {COLUMN} if that is not meant",))


def _add_configured(path: str, known: dict[str, Any]) -> Iterator[str]:
    """Add the loops of ``agent_loop_config_path``, and say what is wrong with the file."""
    file = config_file(path)
    if file is None:
        return  # told among the files
    try:
        entries = OmegaConf.to_container(OmegaConf.load(file))
    except Exception as error:  # whatever the file holds
        yield f"it cannot be read: {error}"
        return
    if not isinstance(entries, list):
        yield "it must hold a list of loops, [{name: ..., _target_: module.Class}]"
        return
    for number, entry in enumerate(entries):
        if not isinstance(entry, dict) or not entry.get("name") or not entry.get("_target_"):
            yield f"entry {number} must have name and _target_, found {entry}"
            continue
        known[entry["name"]] = entry
        yield from (f"entry {number}, {problem}" for problem in class_problems(entry["_target_"], "_target_"))
