"""The command ``curate``: which trajectories and questions are worth training on, each check with its reason.

Imports ``runs``, ``tools``, ``grading``, ``settings``. Start with :mod:`verl_hdpo.evaluation.datasets.curation.run`.
"""
