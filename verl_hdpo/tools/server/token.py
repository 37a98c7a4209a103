"""The token that a tool server and its clients share."""

from __future__ import annotations

import hmac
import os
import stat
from collections.abc import Iterable
from pathlib import Path

from verl_hdpo.settings.tool import ToolConfigError

MIN_CHARS = 16
_HOW = "make one with: (umask 077; openssl rand -hex 32 > token)"


def token_from_environment(name: str) -> str:
    """The token in the environment variable ``name``.

    Raises:
        ToolConfigError: it is not set, or holds no token.
    """
    if name not in os.environ:
        raise ToolConfigError(f"the environment variable {name} with the tool server's token is not set; {_HOW}")
    return _checked(os.environ[name], f"the environment variable {name}")


def token_from_file(path: Path) -> str:
    """The token in a file that nobody else can read, surrounding space left out.

    Raises:
        ToolConfigError: it cannot be read, others can read it too, or it holds no token.
    """
    try:
        with path.open() as file:
            found, text = os.fstat(file.fileno()), file.read()
        if found.st_uid not in (os.geteuid(), 0) or found.st_mode & 0o077:
            mode = stat.S_IMODE(found.st_mode)
            raise ToolConfigError(
                f"{path} with the tool server's token is open to other users (mode {mode:04o}); chmod 600 {path}"
            )
    except (OSError, UnicodeDecodeError) as error:
        raise ToolConfigError(f"the file with the tool server's token cannot be read: {error}") from None
    return _checked(text, str(path))


def is_shown(token: str, headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether a request's headers, their names in lower case, carry the token, and no other beside it."""
    given = [value for name, value in headers if name == b"authorization"]
    return len(given) == 1 and hmac.compare_digest(given[0], b"Bearer " + token.encode())


def _checked(text: str, where: str) -> str:
    token = text.strip()
    if len(token) < MIN_CHARS or not token.isascii() or not token.isprintable() or " " in token:
        raise ToolConfigError(f"{where} holds no token: at least {MIN_CHARS} printable ASCII characters; {_HOW}")
    return token
