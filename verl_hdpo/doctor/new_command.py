"""``NewCommand``: an older verl command as the one that trains with HDPO, with a reason for each change."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from hydra.errors import HydraException
from omegaconf import OmegaConf

from verl_hdpo.adapters.composed_config import parsed
from verl_hdpo.adapters.names import AGENT_LOOP, REWARD_MANAGER, SIGNAL_KEY
from verl_hdpo.adapters.override_problems import compose_telling_all
from verl_hdpo.doctor.command_line import values
from verl_hdpo.doctor.estimator_names import known_names
from verl_hdpo.runs.did_you_mean import did_you_mean
from verl_hdpo.runs.migration.estimators import CHANGED, SAME
from verl_hdpo.runs.migration.keys import ASYNCHRONOUS, KEYS, UNREAD, Change, change_of
from verl_hdpo.runs.migration.launchers import CONFIGS, LAUNCHER, SEPARATE, Launcher
from verl_hdpo.runs.migration.values import gone
from verl_hdpo.runs.override import key_and_value, key_of
from verl_hdpo.runs.verl_command import VerlConfig
from verl_hdpo.runs.verl_keys import DEFAULT_LOOP, ESTIMATOR, MULTI_TURN, ROLLOUT
from verl_hdpo.settings.algorithms import ALGORITHMS

N = f"{ROLLOUT}.n"
BATCH, MINI = "data.train_batch_size", "actor_rollout_ref.actor.ppo_mini_batch_size"
SYNC_STEP = "trainer.v1.separate_async.parameter_sync_step"
MICRO_BATCHES = (
    "actor_rollout_ref.actor.ppo_micro_batch_size",
    "actor_rollout_ref.rollout.log_prob_micro_batch_size",
    "actor_rollout_ref.ref.log_prob_micro_batch_size",
)


class Step(NamedTuple):
    """One change: what was there (empty if nothing), what takes its place (empty if nothing), and why."""

    old: str
    new: str
    why: str


@dataclass
class NewCommand:
    """The command so far.

    Attributes:
        config: which config it starts from.
        overrides: of that config.
        start: how a shell starts python.
        steps: what was changed.
        left: what only the owner can do.
    """

    config: VerlConfig
    overrides: list[str]
    start: str = "python3"
    steps: list[Step] = field(default_factory=list)
    left: list[str] = field(default_factory=list)

    def lines(self) -> Iterator[str]:
        """The reasons as comments, then the command, as text for a shell."""
        if self.steps:
            yield "# Changed:"
        for step in self.steps:
            yield f"#   {step.old or '(nothing)'} -> {step.new or '(nothing)'}"
            yield f"#       {step.why}"
        if self.left:
            yield "# Left to you:"
            yield from (f"#   {line}" for text in self.left for line in text.splitlines())
        words = [*self.config.arguments, *map(shlex.quote, self.overrides)]
        yield " \\\n    ".join([f"{self.start} -m {LAUNCHER}", *words])

    def replace(self, old: str, new: str, why: str) -> None:
        """Put ``new`` where ``old`` is, at the end if that is empty; note why."""
        at = self.overrides.index(old) if old else len(self.overrides)
        self.overrides[at : at + 1] = [new] if new else []
        self.steps.append(Step(old, new, why))

    def set(self, key: str, value: object, why: str) -> None:
        """Have ``key`` be ``value``."""
        old = next((override for override in reversed(self.overrides) if key_of(override) == key), "")
        new = f"{key}={value}"
        if old.lstrip("+") != new:
            self.replace(old, new, why)


def new_command(
    launcher: str,
    other: Launcher | None,
    config: VerlConfig,
    overrides: Sequence[str],
    start: str = "python3",
    left_out: Sequence[str] = (),
) -> NewCommand:
    """The command for ``verl.trainer.main_ppo`` and HDPO that does what the old one did.

    Args:
        launcher: the module that the old command starts.
        other: what is known of it; None for ``main_ppo`` itself.
        config: the config that the old command starts from.
        overrides: as they were given.
        start: how a shell starts python.
        left_out: words before ``launcher`` that have no part in the new command.
    """
    settings = [word for word in overrides if _is_setting(word)]
    command = NewCommand(config, settings, start)
    for word in (*left_out, *(word for word in overrides if word not in settings)):
        command.left.append(f"{word}: left out: it is no setting (key=value, with special characters quoted)")
    _without_critic(command)
    if other:
        command.steps.append(Step(launcher, LAUNCHER, other.why))
        _its_config(command)
    for override in list(command.overrides):
        # hydra tells of the others, but not of what is added.
        change = change_of(key_of(override), KEYS if override.startswith("+") else UNREAD | ASYNCHRONOUS)
        if change and "=" in override:
            _carry(command, override, change)
    for setting in other.settings if other else ():
        command.set(*key_and_value(setting), f"what {launcher} did")
    if SEPARATE in command.overrides:
        _batches(command, values(overrides), values(command.overrides))
    _told_by_hydra(command)
    _values(command)
    _micro_batches(command, values(command.overrides))
    _for_hdpo(command, values(command.overrides))
    return command


def _is_setting(word: str) -> bool:
    try:
        parsed(word)
    except HydraException:
        return False
    return True


def _its_config(command: NewCommand) -> None:
    name = command.config.config_name.removesuffix(".yaml")
    if name in CONFIGS:
        command.steps.append(Step(f"--config-name={name}", f"--config-name={CONFIGS[name]}", "the config of main_ppo"))
        command.config = VerlConfig(CONFIGS[name])


def _carry(command: NewCommand, override: str, change: Change) -> None:
    value = key_and_value(override)[1]
    if change.moved:
        command.replace(override, f"{change.moved}={value}", change.why)
        return
    command.replace(override, "", change.why)
    if change.instead:
        command.left.append(f"{override}: {change.advice}")


def _batches(command: NewCommand, old: dict[str, Any], new: dict[str, Any]) -> None:
    """V1 takes ``parameter_sync_step`` mini-batches, all of a batch, between two updates of the rollout engine."""
    mini, step, batch = new.get(MINI), new.get(SYNC_STEP), new.get(BATCH)
    why = f"separate_async needs {BATCH} = parameter_sync_step * ppo_mini_batch_size"
    if isinstance(mini, int) and isinstance(step, int) and mini * step > 0:
        if (at_a_time := old.get("async_training.require_batches") or 1) != 1:
            step *= at_a_time
            command.set(SYNC_STEP, step, "trigger_parameter_sync_step times require_batches mini-batches an update")
        command.set(BATCH, mini * step, why)
    elif isinstance(mini, int) and isinstance(batch, int) and mini > 0 and batch > 0 and batch % mini == 0:
        command.set(SYNC_STEP, batch // mini, why)
    else:
        command.left.append(why)
    if new.get("data.gen_batch_size") == 1:
        command.replace(
            "data.gen_batch_size=1", "", "fully_async_policy needed it; V1 fetches a batch of prompts at a time"
        )


def _told_by_hydra(command: NewCommand) -> None:
    """What verl's config does not have; HDPO's own keys go with their estimator."""
    config = command.config
    composed, problems = compose_telling_all(
        config.config_name, config.config_path, config.config_dir, command.overrides
    )
    for problem in problems:
        if not problem.override or problem.meant is None:
            command.left.append(f"{problem.found}\n-> {problem.advice}")
            continue
        why = problem.found.partition(": ")[2]
        if problem.beside:
            command.set(*key_and_value(problem.beside), why)
            continue
        command.replace(problem.override, problem.meant, why)
        if not problem.meant and problem.advice != "delete it":
            command.left.append(f"{problem.override}: {problem.advice}")
    if composed is not None and OmegaConf.is_missing(composed.actor_rollout_ref.rollout, "name"):
        command.set("actor_rollout_ref.rollout.name", "vllm", "verl has no default any more; this was it")
    n = values(command.overrides).get(N) if composed is None else composed.actor_rollout_ref.rollout.n
    if not isinstance(n, int) or n < 2:
        command.left.append(f"HDPO compares the rollouts of a prompt: set {N} to 2 or more, e.g. 8")


def _values(command: NewCommand) -> None:
    """Values that verl has no more; what the owner's own module registers is for it to know."""
    own = "reward.reward_manager.source=importlib" in command.overrides
    for override in list(command.overrides):
        key, value = key_and_value(override)
        change = None if own and key == "reward.reward_manager.name" else gone(key, value.strip("'\""))
        if change and change.now:
            command.replace(override, f"{key}={change.now}", change.why)
        elif change:
            command.left.append(f"{override}: {change.why}; {change.advice}")


def _micro_batches(command: NewCommand, given: dict[str, Any]) -> None:
    """Sizes for all GPUs together, which verl's workers read no more."""
    gpus = [given.get(f"trainer.{name}", default) for name, default in (("nnodes", 1), ("n_gpus_per_node", 8))]
    for key in MICRO_BATCHES:
        size, override = given.get(key), f"{key}={given.get(key)}"
        if not isinstance(size, int) or override not in command.overrides:
            continue
        if f"{key}_per_gpu" in given:
            command.replace(override, "", f"{key}_per_gpu is set, and verl reads that alone")
        elif all(isinstance(number, int) and number > 0 for number in gpus):
            share = max(1, size // math.prod(gpus))
            why = f"verl reads the share of one GPU alone, of {math.prod(gpus)}"
            command.replace(override, f"{key}_per_gpu={share}", why)
        else:
            command.left.append(f"{override}: verl reads {key}_per_gpu alone: set it to the share of one GPU")


def _without_critic(command: NewCommand) -> None:
    """No estimator of this package has a critic; ``critic_warmup`` would only put off the actor's updates."""
    groups = ("critic.", "trainer.critic_warmup")
    if unused := [override for override in command.overrides if key_of(override).startswith(groups)]:
        command.overrides = [override for override in command.overrides if override not in unused]
        command.steps.append(Step(" ".join(unused), "", "HDPO has no critic"))


def _for_hdpo(command: NewCommand, given: dict[str, Any]) -> None:
    old, known = str(given.get(ESTIMATOR, "gae")), known_names()
    if known and old not in known:
        command.set(ESTIMATOR, "hdpo", f"{old} is no estimator of verl; {did_you_mean(old, sorted(known))}")
    elif old not in ALGORITHMS:
        same = "HDPO's accuracy part is this estimator; it adds the efficiency channel"
        command.set(ESTIMATOR, "hdpo", same if old in SAME else CHANGED.get(old, "the one word"))
    loop = str(given.get(DEFAULT_LOOP, "single_turn_agent"))
    if loop in ("tool_agent", "single_turn_agent"):
        command.set(
            DEFAULT_LOOP,
            AGENT_LOOP,
            f"{loop} keeps no ledger of calls" if loop == "tool_agent" else "verl's default loop calls no tools",
        )
    if not any(given.get(f"{MULTI_TURN}.{name}") for name in ("tool_config_path", "function_tool_path")):
        command.left.append(
            f"no tools: name them by {MULTI_TURN}.tool_config_path or {MULTI_TURN}.function_tool_path; without a tool "
            f"HDPO has nothing to learn"
        )
    if given.get("algorithm.filter_groups.enable") and given.get("algorithm.filter_groups.metric") != SIGNAL_KEY:
        command.set(
            "algorithm.filter_groups.metric",
            SIGNAL_KEY,
            "another metric drops all-correct groups, where the efficiency channel has most to say",
        )
        command.left.append(
            f"{SIGNAL_KEY} is reported by reward.reward_manager.name={REWARD_MANAGER}; to keep yours, let "
            f"your reward function return it"
        )
    command.left.append("check the result: verl-hdpo doctor -- followed by this command")
