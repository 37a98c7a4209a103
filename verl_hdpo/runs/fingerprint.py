"""``fingerprint``: what tells whether a file, or what an override names, is still what it was."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from verl_hdpo.runs.override import key_and_value

DEFAULT_CONFIG = "ppo_trainer"
"""verl's own, which one in a folder of the user's may go before."""

READ_UP_TO = 1 << 24
"""Bytes. Of a larger file its time stamp stands for its content."""


def fingerprint(path: str | Path) -> Any:
    """Changes with the content of a file, or of the files in a folder; of anything else, a hub id say, it is itself."""
    found = Path(path).expanduser()
    if found.is_dir():
        return {file.name: fingerprint(file) for file in sorted(found.iterdir()) if file.is_file()}
    if not found.is_file():
        return str(path)
    if found.stat().st_size > READ_UP_TO:
        return [found.stat().st_size, found.stat().st_mtime_ns]
    return hashlib.sha256(found.read_bytes()).hexdigest()[:16]


def of_inputs(arguments: Sequence[str]) -> dict[str, Any]:
    """Fingerprints of the local files that arguments of verl's launcher name, and of folders under a key ``path``.

    Of hydra's options ``--config-*`` that is the config with all that it includes, and what those name in turn.
    """
    options = {key: value for key, _, value in (part.partition("=") for part in arguments if part.startswith("--"))}
    overrides = [argument for argument in arguments if not argument.startswith("--")]
    found: dict[str, Any] = {}
    for folder in filter(None, map(options.get, ("--config-path", "--config-dir"))):
        found |= _of_config(Path(folder), options.get("--config-name", DEFAULT_CONFIG))
    for override in overrides:
        key, value = key_and_value(override)
        for name in value.strip("[]").split(","):
            path = Path(name.strip("'\" ")).expanduser()
            if path.is_file() or (path.is_dir() and key.endswith("path")):
                found[str(path)] = fingerprint(path)
    return found


def _of_config(folder: Path, name: str) -> dict[str, Any]:
    path = folder / f"{name.removesuffix('.yaml')}.yaml"
    if not path.is_file():  # one of verl's own
        return {}
    import yaml  # not where no config is read: every command of verl-hdpo loads this module

    content = yaml.safe_load(path.read_text())
    found = {str(path): fingerprint(path)}
    if not isinstance(content, dict):
        return found
    for entry in content.pop("defaults", None) or []:
        for group, choice in entry.items() if isinstance(entry, dict) else [("", entry)]:
            group = re.sub(r"^(override|optional) ", "", str(group)).partition("@")[0].strip("/ ")
            for chosen in choice if isinstance(choice, list) else [choice]:
                found |= _of_config(folder / group, str(chosen).partition("@")[0])
    return found | of_inputs(list(_leaves(content)))


def _leaves(content: dict[str, Any], above: str = "") -> Iterator[str]:
    for key, value in content.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{above}{key}.")
        else:
            yield f"{above}{key}={','.join(map(str, value)) if isinstance(value, list) else value}"
