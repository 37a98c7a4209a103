"""``verl-hdpo tools``: try a tool by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from verl_hdpo.adapters.tool_names import check_own
from verl_hdpo.runs.verl_command import needs_extra

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group()
def tools() -> None:
    """Try a tool by hand."""


@tools.command(short_help="Call a tool by its name, as a run would.")
@click.argument("name")
@click.argument("given", metavar="ARGUMENTS...", nargs=-1, required=True)
@click.option("--config", type=FILE, help="verl's tool yaml with the tool; default: one of this package, by its name.")
@click.option("--image", "images", multiple=True, type=FILE, help="Picture of the conversation; again for more.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Folder for pictures that come back.")
@click.option("--json", "as_json", is_flag=True, help="Print status, text and the rest of each answer as JSON.")
@click.pass_context
def call(ctx: click.Context, **given: Any) -> None:
    """Call the tool NAME once for each of ARGUMENTS, in one conversation, as a run would.

    \b
        verl-hdpo tools call python 'x = 6 * 7' 'print(x)'
        verl-hdpo tools call calculator '{"expression": "17 * 23"}'
        verl-hdpo tools call text_search 'capital of Peru' --config tools.yaml

    ARGUMENTS are JSON objects, or plain text where the tool has one argument. Exit status: 1 if a call failed.
    """
    if not given["config"]:
        check_own(given["name"])
    from verl_hdpo.runs.terminal import doing

    with needs_extra("tools"), doing("importing torch and verl"):
        from verl_hdpo.adapters.tool_trial import try_calls
    ctx.exit(not try_calls(**given))
