"""``verl-hdpo``: one command, a subcommand for each thing to do around a training run."""

from __future__ import annotations

import click

from verl_hdpo import __version__
from verl_hdpo.cli.doctor import doctor


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="verl-hdpo")
def main() -> None:
    """HDPO for stock verl.

    Training itself is verl's own command with algorithm.adv_estimator=hdpo:

    \b
        python -m verl.trainer.main_ppo algorithm.adv_estimator=hdpo ...
    """


main.add_command(doctor)
