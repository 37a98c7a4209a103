"""Rollouts as runs leave them on disk, whatever wrote them, as one type of row.

Imports ``outcomes`` for the ledger and knows nothing of verl. Start with :mod:`verl_hdpo.evaluation.dumps.reader`; the
row is :class:`verl_hdpo.evaluation.dumps.rollout.Rollout`. A further format is one more entry of ``reader.FORMATS``.
"""
