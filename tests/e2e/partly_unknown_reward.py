"""The user's reward function, with a judge that is down for every fourth rollout."""

import itertools

from user_reward import compute_score as judged

_rollouts = itertools.count()


def compute_score(*args, **kwargs):
    return {**judged(*args, **kwargs), "outcome_known": int(next(_rollouts) % 4 > 0)}
