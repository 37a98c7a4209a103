"""``verl-hdpo tool-server``: the tools of a yaml, for training workers on other machines."""

from __future__ import annotations

import os
import resource
from pathlib import Path

import click

from verl_hdpo.runs.verl_command import needs_extra
from verl_hdpo.tools.server import TOKEN_ENV


@click.command("tool-server", short_help="Serve tools to training workers elsewhere.")
@click.option("--config", required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="verl's tool yaml; its server: holds limits.")  # fmt: skip
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; 0.0.0.0: all.")
@click.option("--port", default=8700, show_default=True, help="0: any free one, which is logged.")
@click.option("--token-env", default=TOKEN_ENV, show_default=True, help="Environment variable with the token.")
@click.option("--token-file", type=click.Path(path_type=Path), help="File with the token, in place of a variable.")
def tool_server(config: Path, host: str, port: int, token_env: str, token_file: Path | None) -> None:
    """Serve the tools of --config over HTTP, to clients that have the token.

    \b
        (umask 077; openssl rand -hex 32 > token)
        verl-hdpo tool-server --config tools.yaml --host 0.0.0.0 --token-file token

    One process; sessions live in it. For more, start more, each on its own port, and list all in the clients' urls.
    """
    with needs_extra("tools"):
        from verl_hdpo.tools.server.token import token_from_environment, token_from_file

    token = token_from_file(token_file) if token_file else token_from_environment(token_env)
    os.environ.pop(token_env, None)  # what the tools start has no use for it
    import uvicorn

    from verl_hdpo.adapters.served_tools import load_served_tools
    from verl_hdpo.tools.server.app import make_app
    from verl_hdpo.tools.server.http_protocol import guards

    tools, settings = load_served_tools(config)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # one per client and interpreter; often 1024 at first
    app = make_app(tools, settings, token)
    options = {"access_log": False, "timeout_graceful_shutdown": 5, **guards(token)}
    uvicorn.Server(uvicorn.Config(app, host=host, port=port, **options)).run()  # not uvicorn.run, which ends with 0
