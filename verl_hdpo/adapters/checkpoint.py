"""What a run says when a checkpoint cannot be written, as on a full disk."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path


class CheckpointNotSaved(RuntimeError):
    """The message says where, why, and where the run goes on."""


@contextlib.contextmanager
def explained(folder: str | Path, step: int) -> Iterator[None]:
    """Around the writing of the checkpoint of ``step`` to ``folder``.

    Raises:
        CheckpointNotSaved: it failed.
    """
    try:
        yield
    except Exception as error:
        raise not_saved(folder, step, error) from error


def not_saved(folder: str | Path, step: int, error: Exception) -> CheckpointNotSaved:
    """What to raise for the checkpoint of ``step`` in ``folder``.

    verl names a checkpoint in ``latest_checkpointed_iteration.txt`` once all of it is written, so until then the one
    before counts.
    """
    free, last = "", ""
    with contextlib.suppress(OSError):
        free = f" ({shutil.disk_usage(folder).free / 2**30:.3g} GiB free there)"
    with contextlib.suppress(OSError):
        last = (Path(folder) / "latest_checkpointed_iteration.txt").read_text().strip()
    resumes = f"resumes from step {last}, the last one that is whole" if last else "starts anew, as there is none yet"
    cause = getattr(error, "cause", None) or error  # what Ray wraps
    return CheckpointNotSaved(
        f"the checkpoint of step {step} cannot be written to {folder}{free}: {type(cause).__name__}: {cause}. Mend "
        f"that and give the same command again: it {resumes}"
    )
