"""The processor of a model that is to see images, where it can be had without a download."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import redirect_stdout
from importlib.util import find_spec
from io import StringIO

from omegaconf import DictConfig
from verl.utils import hf_processor

from verl_hdpo.doctor.data import Rows
from verl_hdpo.doctor.sections import FILES
from verl_hdpo.runs.finding import Finding


def check_processor(config: DictConfig, data: Mapping[str, Rows]) -> Iterator[Finding]:
    """That verl can show the rows' images to the model. Where it makes no processor it only warns, and fails later."""
    with_images = sum(rows.images.with_images for rows in data.values())
    path = os.path.expanduser(str(config.actor_rollout_ref.model.path))
    if not with_images or not os.path.isfile(os.path.join(path, "config.json")):
        return
    if find_spec("qwen_vl_utils") is None:  # verl/utils/dataset/rl_dataset.py, _process_multi_modal_info
        found = f"{with_images} rows have images, and verl reads them by qwen_vl_utils, which is not installed"
        yield Finding(FILES, "FAIL", "images", found, ("pip install qwen-vl-utils",))
    with warnings.catch_warnings(record=True) as caught, redirect_stdout(StringIO()):
        warnings.simplefilter("always")
        trust = bool(config.actor_rollout_ref.model.get("trust_remote_code", False))
        processor = hf_processor(path, trust_remote_code=trust, local_files_only=True)
    if processor is None:
        reasons = [str(warning.message) for warning in caught if "processor" in str(warning.message)]
        why = f": {reasons[0]}" if reasons else ", as of a model for text alone"
        found = f"{with_images} rows have images, and verl makes no processor of {path}{why}"
        yield Finding(FILES, "FAIL", "images", found, ("name a vision model, or repair what its processor needs",))
