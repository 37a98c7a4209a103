"""``verl-hdpo size``: how many tool servers and judges a run needs."""

from __future__ import annotations

import click

from verl_hdpo.cli.numbers import ABOVE_0, Number, Whole
from verl_hdpo.cli.plain_errors import BadInput

SHARE = Number(0, 1)


@click.command(short_help="How many tool servers and judges a run needs.")
@click.option("--gpus", type=ABOVE_0, required=True, help="GPUs that generate.")
@click.option(
    "--tokens-per-gpu-second", type=ABOVE_0, default=2000, show_default=True, help="Tokens that one generates."
)
@click.option("--tokens-per-rollout", type=ABOVE_0, default=4000, show_default=True, help="Model tokens of a rollout.")
@click.option("--rollout-seconds", type=ABOVE_0, default=120, show_default=True, help="From its prompt to its end.")
@click.option("--calls-per-rollout", type=ABOVE_0, required=True, help="hdpo/tool_calls/mean of a run.")
@click.option(
    "--call-seconds", type=ABOVE_0, default=0.5, show_default=True, help="hdpo/tools/<name>/seconds of a run."
)
@click.option("--variability", type=Number(0), default=1, show_default=True,
              help="Standard deviation of a call's time over its mean.")  # fmt: skip
@click.option("--places", type=Whole(1), default=16, show_default=True,
              help="Calls that a server runs at a time: its cores, for python.")  # fmt: skip
@click.option("--session-mb", type=ABOVE_0, default=128, show_default=True, help="Memory of a session.")
@click.option("--server-mb", type=ABOVE_0, default=65536, show_default=True, help="Memory of a server for sessions.")
@click.option("--max-wait", type=Number(0), default=1, show_default=True,
              help="Seconds that 99 of 100 calls may wait at most.")  # fmt: skip
@click.option("--peak", type=Number(1), default=2, show_default=True,
              help="Calls at the busiest time over those on average.")  # fmt: skip
@click.option("--server-cost", type=Number(0), default=0, show_default=True, help="Of a server, per hour.")
@click.option("--judge-share", type=SHARE, default=0, show_default=True, help="Rollouts that a judge decides.")
@click.option("--judge-seconds", type=ABOVE_0, default=1, show_default=True, help="hdpo/judge/seconds/mean of a run.")
@click.option("--judge-places", type=Whole(1), default=64, show_default=True,
              help="Questions that a judge answers at a time.")  # fmt: skip
@click.option("--judge-cost", type=Number(0), default=0, show_default=True, help="Of a judge, per hour.")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def size(as_json: bool, **given: float) -> None:
    """Size the tool servers and judges of a run from rates that you measured.

    \b
        verl-hdpo size --gpus 512 --calls-per-rollout 3 --call-seconds 0.4 --judge-share 0.2

    Take the rates from a small run. The formula: recipes/sizing.md.
    """
    if given["session_mb"] > given["server_mb"]:
        sizes = f"--session-mb {given['session_mb']:g} is larger than --server-mb {given['server_mb']:g}"
        raise BadInput(f"{sizes}: a server must hold at least one session")
    from verl_hdpo.tools.server.fleet_report import report

    report(given, as_json)
