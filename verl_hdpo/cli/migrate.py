"""``verl-hdpo migrate``: an older verl command as the one for HDPO."""

from __future__ import annotations

import click

from verl_hdpo.runs.migration.launchers import LAUNCHER, launcher_of
from verl_hdpo.runs.verl_command import PASTED, PastedCommand, VerlConfig, verl_options


@click.command(cls=PastedCommand, short_help="Rewrite an older verl command for HDPO.")
@verl_options
@click.pass_context
def migrate(context: click.Context, config: VerlConfig, overrides: tuple[str, ...]) -> None:
    """Print the command for verl's V1 trainer and HDPO that does what an older one did, with a reason per change.

    \b
        verl-hdpo migrate -- python3 -m recipe.dapo.main_dapo algorithm.adv_estimator=grpo ...
        verl-hdpo migrate -- algorithm.adv_estimator=rloo data.sampler.class_name=...

    The output is a shell script: reasons are comments. Nothing is run, and verl is not imported. Tools, data and
    reward are not looked at: verl-hdpo doctor does that, with the new command.

    Exit status: 2 if main_ppo cannot stand in for the old command's trainer.
    """
    launcher = context.meta.get(PASTED, LAUNCHER)
    other = launcher_of(launcher)
    if launcher != LAUNCHER and other is None:
        raise click.UsageError(
            f"{launcher} is a trainer of its own: no settings of {LAUNCHER}, verl's V1 trainer, are known that do what "
            f"it does; give the command line of python -m {LAUNCHER}"
        )
    from verl_hdpo.doctor.new_command import new_command
    from verl_hdpo.runs.terminal import show_code

    show_code(new_command(launcher, other, config, overrides).lines(), "bash")
