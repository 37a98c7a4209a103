"""``verl-hdpo migrate``: an older verl command as the one for HDPO."""

from __future__ import annotations

import click

from verl_hdpo.runs.migration.launchers import LAUNCHER, launcher_of
from verl_hdpo.runs.migration.old_command import script_in, start_of
from verl_hdpo.runs.verl_command import PASTED, PastedCommand, VerlConfig, verl_options

START = "verl_hdpo.start"
"""Under which a context holds what :func:`start_of` says of the words."""


class OldCommand(PastedCommand):
    """Takes a command that starts python, and leaves its beginning in the context."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
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
    if PASTED not in context.meta and not any(overrides):
        raise click.UsageError(f"give the old command: verl-hdpo migrate -- python3 -m {LAUNCHER} ...")
    launcher = context.meta.get(PASTED, LAUNCHER)
    other = launcher_of(launcher)
    if launcher != LAUNCHER and other is None:
        raise click.UsageError(
            f"{launcher} is a trainer of its own: no settings of {LAUNCHER}, verl's V1 trainer, are known that do what "
            f"it does; give the command line of python -m {LAUNCHER}"
        )
    from verl_hdpo.doctor.new_command import new_command
    from verl_hdpo.runs.terminal import show_code

    start, left_out = context.meta[START]
    show_code(new_command(launcher, other, config, overrides, start, left_out).lines(), "bash")
