"""``make_trainer``: one of verl's trainers as a run would get it, without verl's set-up, which takes workers."""

from composed import composed
from verl.trainer.ppo.v1 import PPOTrainerSync, get_trainer_cls  # the registry already holds the HDPO-aware classes

from verl_hdpo.adapters.advantage_step import AdvantageStep
from verl_hdpo.adapters.rollout_notes import RolloutNotes
from verl_hdpo.adapters.run_settings import run_settings


def make_trainer(*overrides, estimator="hdpo"):
    config = composed("actor_rollout_ref.rollout.n=4", f"algorithm.adv_estimator={estimator}", *overrides)
    settings = run_settings(config)
    if settings is None:
        trainer = object.__new__(PPOTrainerSync)
    else:
        trainer = object.__new__(get_trainer_cls("sync"))
        trainer.hdpo = AdvantageStep(settings, config)
    trainer.config, trainer.parameter_sync_step, trainer.notes = config, 1, RolloutNotes(config)
    return trainer
