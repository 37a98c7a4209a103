"""The mathematics of HDPO and its rivals: from one number of each kind per rollout to advantages.

Imports torch and nothing else. Start with :mod:`verl_hdpo.algorithm.advantages`, then one file per algorithm in
``estimators``.
"""
