"""``PlainErrors``: what a user can put right is told in a line, without a traceback."""

from __future__ import annotations

import errno
import os
import signal
from typing import Any

import click

CONFIGS = ("hydra.errors", "omegaconf.errors")
"""Modules whose errors speak of a config."""
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""What the system says of a write for which there is no room; it names no file then."""


class BadInput(click.ClickException):
    """Something that was given is wrong."""

    exit_code = 2


class PlainErrors(click.Group):
    """A group of commands. A traceback is left to errors that nobody foresaw.

    Exit status: 2 where something that was given is wrong, a value or a path; 1 where something failed; 130 after
    Ctrl-C, as a shell has it.
    """

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo("Stopped.", err=True)
            ctx.exit(128 + signal.SIGINT)
        except Exception as error:
            text = told(error)
            if text is None:
                raise
            failed = isinstance(error, RuntimeError | ConnectionError)
            raise (click.ClickException if failed else BadInput)(text) from None


def told(error: Exception) -> str | None:
    """What to tell of an error: this package's own, one of a config, or the system's of a path or a connection."""
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"{error.filename}: {error.strerror}"
    if isinstance(error, OSError) and error.errno in FULL:
        return f"no room to write: {os.strerror(error.errno)}; free some, or name an output on another disk"
    module = type(error).__module__
    if module.startswith("verl_hdpo.") or module in CONFIGS or type(error) in (ConnectionError, FileExistsError):
        return str(error)
    return None
