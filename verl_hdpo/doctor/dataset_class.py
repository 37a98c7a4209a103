"""A data set class of the owner's own (``data.custom_cls``): its first rows, as a run gets them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import redirect_stdout
from io import StringIO

from omegaconf import DictConfig
from verl.trainer.ppo.utils import create_rl_dataset
from verl.utils import hf_processor
from verl.utils.dataset.rl_dataset import get_dataset_class

from verl_hdpo.adapters.user_code import ending_is_an_error, find_modules_here, in_words
from verl_hdpo.doctor.data import SPLITS, Rows
from verl_hdpo.doctor.progress import doing
from verl_hdpo.doctor.sections import DATA
from verl_hdpo.doctor.tokenizer import tokenizer_of
from verl_hdpo.runs.finding import Finding

ROWS = 16
"""How many rows are taken: the class may make them at some cost."""


def own_data(config: DictConfig, data: dict[str, Rows]) -> Iterator[Finding]:
    """Make the data sets, and add to ``data`` what their first rows say."""
    find_modules_here()
    try:
        with redirect_stdout(StringIO()), ending_is_an_error():
            get_dataset_class(config.data)
    except Exception as error:  # whatever the owner's file raises
        if not isinstance(error, FileNotFoundError):  # which is told among the files
            advice = f"the file must exist, import, and define {config.data.custom_cls.name}, a torch Dataset"
            yield Finding(DATA, "FAIL", "data.custom_cls", in_words(error), (advice,))
        return
    for split in SPLITS:
        subject = f"data.{split}_files"
        doing(f"making the data set of {subject}")
        try:
            rows = _rows(config, split)
        except Exception as error:  # whatever the class raises
            advice = "data.custom_cls must take data_files, tokenizer, processor, config and max_samples"
            yield Finding(DATA, "FAIL", subject, f"data.custom_cls: {in_words(error)}", (advice,))
            continue
        if rows is None:
            yield Finding(DATA, "warn", subject, "data.custom_cls: not tried, for want of the model's tokenizer here")
        elif not rows.count:
            found = "data.custom_cls: it makes no row of these files"
            yield Finding(DATA, "FAIL", subject, found, ("mend the class, or name other files",))
        else:
            data[split] = rows
            yield Finding(DATA, "ok", subject, f"data.custom_cls: {rows.count} rows tried")


def _rows(config: DictConfig, split: str) -> Rows | None:
    tokenizer = tokenizer_of(config)
    if tokenizer is None:
        return None
    path = config.actor_rollout_ref.model.path
    with redirect_stdout(StringIO()):
        processor = hf_processor(path, trust_remote_code=config.actor_rollout_ref.model.get("trust_remote_code", False))
        files = config.data[f"{split}_files"]
        made = create_rl_dataset(files, config.data, tokenizer, processor, is_train=split == "train")
        taken = [made[number] for number in range(min(ROWS, len(made)))]
    rows = Rows()
    for number, row in enumerate(taken):
        rows.add(f"item {number} of data.custom_cls", row)
    return rows
