"""``read_text`` and ``read_yaml``: a text file that a user names."""

from __future__ import annotations

from pathlib import Path
from typing import Any


class NotTextError(ValueError):
    """A file that is not text of its kind; the message names the file."""


def read_text(path: Path) -> str:
    """The text of a file in UTF-8.

    Raises:
        NotTextError: it has another encoding.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise NotTextError(not_utf8(str(path), error)) from None


def read_yaml(path: Path) -> Any:
    """What a YAML file holds.

    Raises:
        NotTextError: it has another encoding, or is not valid YAML.
    """
    import yaml

    try:
        return yaml.safe_load(read_text(path))
    except yaml.YAMLError as error:
        raise NotTextError(f"{path} is not valid YAML: {error}") from None


def not_utf8(where: str, error: UnicodeDecodeError) -> str:
    """What to tell of a text at ``where``, a file or a line of one, that has another encoding."""
    return f"{where} is not UTF-8 text: byte 0x{error.object[error.start]:02x} at {error.start}; save it as UTF-8"
