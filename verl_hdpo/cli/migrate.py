"""``verl-hdpo migrate``: an older verl command as the one for HDPO."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

import click

from verl_hdpo.runs.migration.launchers import LAUNCHER, launcher_of
from verl_hdpo.runs.migration.old_command import script_in, start_of
from verl_hdpo.runs.verl_command import PASTED, PastedCommand, VerlConfig, verl_options

START = "verl_hdpo.start"
"""Under which a context holds what :func:`start_of` says of the words."""

N = "actor_rollout_ref.rollout.n"


class OldCommand(PastedCommand):
    """Takes a command that starts python, and leaves its beginning in the context."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not set(args) - {"", "--"}:
            raise click.UsageError(f"give the old command: verl-hdpo migrate -- python3 -m {LAUNCHER} ...", ctx)
        words = args[args.index("--") + 1 :] if "--" in args else args
        if script := script_in(words):
            raise click.UsageError(f"{script} is a script; give the python command in it", ctx)
        rest = super().parse_args(ctx, args)
        ctx.meta[START] = start_of(words, ctx.meta.get(PASTED, LAUNCHER))
        return rest


@click.command(cls=OldCommand, short_help="Rewrite an older verl command for HDPO.")
@verl_options
@click.pass_context
def migrate(context: click.Context, config: VerlConfig, overrides: tuple[str, ...]) -> None:
    """Print the command for verl's V1 trainer and HDPO that does what an older one did, with a reason per change.

    \b
        verl-hdpo migrate -- python3 -m recipe.dapo.main_dapo algorithm.adv_estimator=grpo ...
        verl-hdpo migrate -- algorithm.adv_estimator=rloo data.sampler.class_name=...

    The output is a shell script: reasons are comments. Nothing is run, and verl is not imported. Tools, data and
    reward are not looked at: verl-hdpo doctor does that, with the new command.

    Variables in front and the interpreter stay as they are.

    Exit status: 2 if main_ppo cannot stand in for the old command's trainer, or if a shell script is given.
    """
    launcher = context.meta.get(PASTED, LAUNCHER)
    other = launcher_of(launcher)
    if launcher != LAUNCHER and other is None:
        raise click.UsageError(
            f"{launcher} is a trainer of its own: no settings of {LAUNCHER}, verl's V1 trainer, are known that do what "
            f"it does; give the command line of python -m {LAUNCHER}"
        )
    from verl_hdpo.doctor.new_command import Step, new_command
    from verl_hdpo.runs.terminal import show_code

    start, left_out = context.meta[START]
    settings = [word for word in overrides if _is_setting(word)]
    left_out = [*left_out, *(word for word in overrides if word not in settings)]
    why = "left out: it is no setting (key=value, with special characters quoted)"
    left = [f"{word}: {why}" for word in left_out]
    misspelt, advice = _correct_estimator(settings)
    left += advice
    command = new_command(launcher, other, config, settings)
    if not _has_groups(command.config, command.overrides):
        left.append(f"HDPO compares the rollouts of a prompt: set {N} to 2 or more, e.g. 8")
    command.steps[:0], command.left[:0] = (Step(*change) for change in misspelt), left
    *reasons, text = command.lines()
    show_code([*reasons, start + text.removeprefix("python3")], "bash")


def _is_setting(word: str) -> bool:
    from hydra.errors import HydraException

    from verl_hdpo.adapters.composed_config import parsed

    try:
        parsed(word)
    except HydraException:
        return False
    return True


def _correct_estimator(settings: list[str]) -> tuple[list[tuple[str, str, str]], list[str]]:
    """Put the estimator that was probably meant where nobody has the one given; what changed, and what to tell."""
    from verl_hdpo.doctor.command_line import values
    from verl_hdpo.doctor.estimator_names import KEY, known_names, unknown_estimator

    name, known = values(settings).get(KEY), sorted(known_names() or ())
    finding = unknown_estimator(name, known) if known and isinstance(name, str) else None
    if finding is None:
        return [], []
    advice = [f"{finding.found}; {finding.advice[0]}"]
    if not (close := difflib.get_close_matches(str(name), known, n=1)):
        return [], advice
    at = max(at for at, word in enumerate(settings) if word.lstrip("+").startswith(f"{KEY}="))
    old, settings[at] = settings[at], f"{KEY}={close[0]}"
    return [(old, settings[at], f"{name} is no estimator of verl; taken for {close[0]}")], advice


def _has_groups(config: VerlConfig, overrides: Sequence[str]) -> bool:
    """Whether a prompt has several rollouts."""
    from verl_hdpo.adapters.override_problems import compose_telling_all
    from verl_hdpo.doctor.command_line import values

    composed, _ = compose_telling_all(config.config_name, config.config_path, config.config_dir, overrides)
    n = values(overrides).get(N) if composed is None else composed.actor_rollout_ref.rollout.n
    return isinstance(n, int) and n > 1
