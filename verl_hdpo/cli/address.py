"""``ADDRESS``: options that take the address of a server."""

from __future__ import annotations

import re
from typing import Any

import click

from verl_hdpo.cli.plain_errors import BadInput


class Address(click.ParamType):
    """An address with its scheme."""

    name = "url"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Raises ``BadInput`` for any other text."""
        if not re.match(r"https?://[^\s/]", value):
            named = param.opts[0] if param else "an address"
            raise BadInput(f"{named} must begin with http:// or https://, found {value}")
        return value


ADDRESS = Address()
