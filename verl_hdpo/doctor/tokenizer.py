"""The tokenizer of a run's model, where it can be had without a download."""

from __future__ import annotations

import functools
import os
from contextlib import redirect_stdout
from io import StringIO
from typing import Any

from omegaconf import DictConfig
from verl.utils import hf_tokenizer

from verl_hdpo.doctor.progress import doing


def tokenizer_of(config: DictConfig) -> Any:
    """The tokenizer as verl makes it; None where its files are elsewhere.

    Raises:
        ValueError: its files are here, and broken.
    """
    model = config.actor_rollout_ref.model
    path = os.path.expanduser(str(model.get("tokenizer_path") or model.path))
    template = model.get("custom_chat_template")
    return _load(path, bool(model.get("trust_remote_code", False)), template and str(template))


@functools.cache
def _load(path: str, trust_remote_code: bool, template: str | None) -> Any:
    doing(f"loading the tokenizer of {path}")
    try:
        with redirect_stdout(StringIO()):
            tokenizer = hf_tokenizer(path, trust_remote_code=trust_remote_code, local_files_only=True)
    except Exception as error:  # whatever the files are
        if os.path.isfile(os.path.join(path, "tokenizer_config.json")):
            raise ValueError(f"the tokenizer in {path} cannot be loaded: {error}") from error
        return None
    if template:
        tokenizer.chat_template = template
    return tokenizer
