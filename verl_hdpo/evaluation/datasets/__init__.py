"""Data for a run: other forms made verl's, for RL and for a cold start, with what is wrong told row by row.

Imports ``runs``; ``curation`` also ``tools``, ``grading`` and ``settings``. Start with
:mod:`verl_hdpo.evaluation.datasets.convert`.
"""
