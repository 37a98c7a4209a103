"""``verl-hdpo``: one command, a subcommand for each thing to do around a training run."""

from __future__ import annotations

import click

from verl_hdpo import __version__
from verl_hdpo.cli.audit import audit
from verl_hdpo.cli.compare import compare
from verl_hdpo.cli.convert import convert
from verl_hdpo.cli.curate import curate
from verl_hdpo.cli.doctor import doctor
from verl_hdpo.cli.eval import evaluate
from verl_hdpo.cli.grade import grade
from verl_hdpo.cli.images import images
from verl_hdpo.cli.index import index
from verl_hdpo.cli.look import look
from verl_hdpo.cli.mcp import mcp
from verl_hdpo.cli.migrate import migrate
from verl_hdpo.cli.plain_errors import PlainErrors
from verl_hdpo.cli.price import price
from verl_hdpo.cli.size import size
from verl_hdpo.cli.tool_server import tool_server
from verl_hdpo.cli.tools import tools


@click.group(cls=PlainErrors, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="verl-hdpo")
def main() -> None:
    """HDPO for stock verl.

    Training itself is verl's own command with algorithm.adv_estimator=hdpo:

    \b
        python -m verl.trainer.main_ppo algorithm.adv_estimator=hdpo ...
    """


for command in (
    audit,
    compare,
    convert,
    curate,
    doctor,
    evaluate,
    grade,
    images,
    index,
    look,
    mcp,
    migrate,
    price,
    size,
    tool_server,
    tools,
):
    main.add_command(command)
