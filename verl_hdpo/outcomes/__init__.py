"""What a rollout did and how it ended: the ledger of its tool calls, its outcome, its rewards, and their metrics.

Knows nothing of verl. Start with :mod:`verl_hdpo.outcomes.ledger`.
"""
