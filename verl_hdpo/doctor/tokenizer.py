"""The tokenizer of a run's model, where it can be had without a download."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from contextlib import redirect_stdout
from io import StringIO
from typing import Any

from omegaconf import DictConfig
from verl.utils import hf_tokenizer

from verl_hdpo.doctor.progress import doing
from verl_hdpo.doctor.sections import FILES
from verl_hdpo.runs.finding import Finding


def tokenizer_of(config: DictConfig) -> Any:
    """The tokenizer as verl makes it; None where its files are elsewhere, or broken."""
    tokenizer, _ = _load(*_named(config))
    return tokenizer


def check_tokenizer(config: DictConfig) -> Iterator[Finding]:
    """That a tokenizer whose files are here can be loaded."""
    path, *_ = named = _named(config)
    _, error = _load(*named)
    if error and os.path.isfile(os.path.join(path, "config.json")):
        found = f"the tokenizer in {path} cannot be loaded: {error}"
        yield Finding(FILES, "FAIL", "model", found, ("save model and tokenizer there again",))


def _named(config: DictConfig) -> tuple[str, bool, str | None]:
    model = config.actor_rollout_ref.model
    path = os.path.expanduser(str(model.get("tokenizer_path") or model.path))
    template = model.get("custom_chat_template")
    return path, bool(model.get("trust_remote_code", False)), str(template) if template else None


@functools.cache
def _load(path: str, trust_remote_code: bool, template: str | None) -> tuple[Any, str]:
    """The tokenizer, or why there is none."""
    doing(f"loading the tokenizer of {path}")
    try:
        with redirect_stdout(StringIO()):
            tokenizer = hf_tokenizer(path, trust_remote_code=trust_remote_code, local_files_only=True)
    except Exception as error:  # whatever the files are
        return None, str(error)
    if template:
        tokenizer.chat_template = template
    return tokenizer, ""
