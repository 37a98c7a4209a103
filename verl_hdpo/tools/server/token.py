"""The token that a tool server and its clients share."""

from __future__ import annotations

import os
from pathlib import Path

from verl_hdpo.settings.tool import ToolConfigError

MIN_CHARS = 16
_HOW = "make one with: openssl rand -hex 32"


def token_from_environment(name: str) -> str:
    """The token in the environment variable ``name``.

    Raises:
        ToolConfigError: it is not set, or holds no token.
    """
    if name not in os.environ:
        raise ToolConfigError(f"the environment variable {name} with the tool server's token is not set; {_HOW}")
    return _checked(os.environ[name], f"the environment variable {name}")


def token_from_file(path: Path) -> str:
    """The token in a file, surrounding space left out.

    Raises:
        ToolConfigError: it cannot be read, or holds no token.
    """
    try:
        return _checked(path.read_text(), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise ToolConfigError(f"the file with the tool server's token cannot be read: {error}") from None


def _checked(text: str, where: str) -> str:
    token = text.strip()
    if len(token) < MIN_CHARS or not token.isascii() or not token.isprintable() or " " in token:
        raise ToolConfigError(f"{where} holds no token: at least {MIN_CHARS} printable ASCII characters; {_HOW}")
    return token
