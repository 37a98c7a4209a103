"""``verl-hdpo eval``: how a model uses its tools on a set of questions, and two models side by side.

Imports ``runs``, ``outcomes`` and ``adapters``, and verl itself. Start with :mod:`verl_hdpo.evaluation.run`.
"""
