"""The tools that a model may call, a module each, with the path that users name in their yaml; beneath, what they do.

Imports ``settings`` and ``runs``; only the base class of all tools knows verl. Start with :mod:`verl_hdpo.tools.base`.
"""
