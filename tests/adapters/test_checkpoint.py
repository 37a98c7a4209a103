"""A disk that fills up while a checkpoint is written ends the run with a message, and costs no step that was saved."""

from types import SimpleNamespace

import pytest
import torch
from bare_trainer import make_trainer
from verl.utils.checkpoint.checkpoint_manager import find_latest_ckpt_path

from verl_hdpo.adapters.checkpoint import CheckpointNotSaved

FULL = "/dev/full"
"""Where the kernel has no room for a single byte."""


class Workers:
    """Save a model as verl's workers do: into a file of the folder that they are given."""

    def save_checkpoint(self, path, remote_path, step, max_ckpt_to_keep):
        torch.save({"weight": torch.full((1000,), float(step))}, f"{path}/model.pt")


@pytest.fixture
def save(tmp_path):
    """``save(step)`` as verl's trainer does; returns the checkpoint that a run would resume from."""
    trainer = make_trainer(f"trainer.default_local_dir={tmp_path}")
    trainer.actor_rollout_wg = Workers()
    trainer.use_critic, trainer.trainer_mode = False, "sync"
    trainer.train_dataloader = SimpleNamespace(state_dict=lambda: {"position": trainer.global_steps})
    trainer.checkpoint_callback = SimpleNamespace(on_save=lambda **_: None)

    def run(step):
        trainer.global_steps = step
        (tmp_path / f"global_step_{step}" / "actor").mkdir(parents=True, exist_ok=True)
        trainer._save_checkpoint()
        return find_latest_ckpt_path(str(tmp_path))

    return run


@pytest.mark.parametrize("file", ["actor/model.pt", "data.pt"])
def test_a_full_disk_leaves_the_last_whole_checkpoint_and_is_named(save, tmp_path, file):
    assert save(1) == str(tmp_path / "global_step_1")
    full = tmp_path / "global_step_2" / file
    full.parent.mkdir(parents=True)
    full.symlink_to(FULL)
    with pytest.raises(CheckpointNotSaved, match=rf"step 2 .*{tmp_path}.*GiB free.*resumes from step 1") as raised:
        save(2)
    assert "\n" not in str(raised.value)[:200]
    assert find_latest_ckpt_path(str(tmp_path)) == str(tmp_path / "global_step_1")
    assert torch.load(tmp_path / "global_step_1" / "data.pt") == {"position": 1}
    full.unlink()
    assert save(2) == str(tmp_path / "global_step_2")


def test_without_a_checkpoint_the_run_starts_anew(save, tmp_path):
    (tmp_path / "global_step_1" / "actor").mkdir(parents=True)
    (tmp_path / "global_step_1" / "actor" / "model.pt").symlink_to(FULL)
    with pytest.raises(CheckpointNotSaved, match="starts anew"):
        save(1)
