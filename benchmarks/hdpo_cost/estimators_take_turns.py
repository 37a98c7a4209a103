"""Loaded by verl in each of its processes (VERL_USE_EXTERNAL_MODULES): HDPO's run does every other step as stock GRPO.

Such a step is verl's own: its trainer's methods and its loss, set in the workers as verl sets it. The estimator
changes after the step is timed, and steps go GRPO, HDPO, HDPO, GRPO, so that neither always follows the other.
"""

from functools import partial

from wrapt import register_post_import_hook

TURNS = ("grpo", "hdpo", "hdpo", "grpo")


def way(step: int) -> str:
    """The estimator of a training step, counted from 1."""
    return TURNS[(step - 1) % len(TURNS)]


def take_turns(module):
    from verl.utils.config import omega_conf_to_dataclass
    from verl.workers.utils.losses import ppo_loss

    from verl_hdpo.adapters.loss import two_channel_loss

    trainer = module._HDPOTrainer

    def by_turns(name):
        ours = getattr(trainer, name)

        def method(self, *args, **kwargs):
            if way(self.global_steps) == "grpo":
                return getattr(super(trainer, self), name)(*args, **kwargs)
            return ours(self, *args, **kwargs)

        return method

    for name in ("step", "_step_once", "_compute_advantage", "_update_actor"):
        setattr(trainer, name, by_turns(name))

    def prepare(self, step):
        self.config.algorithm.adv_estimator = way(step)
        actor = omega_conf_to_dataclass(self.config.actor_rollout_ref.actor)
        losses = {
            "grpo": partial(ppo_loss, config=actor),
            "hdpo": partial(two_channel_loss, actor, *self.hdpo.settings.loss_weights),
        }
        self.actor_rollout_wg.set_loss_fn(losses[way(step)])

    def _setup(self):
        setup(self)
        prepare(self, 1)

    def _compute_metrics(self, *args, **kwargs):
        super(trainer, self)._compute_metrics(*args, **kwargs)
        prepare(self, self.global_steps + 1)

    setup, trainer._setup, trainer._compute_metrics = trainer._setup, _setup, _compute_metrics


register_post_import_hook(take_turns, "verl_hdpo.adapters.trainer")
