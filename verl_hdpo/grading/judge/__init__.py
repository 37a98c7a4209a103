"""A judge for answers that rules cannot decide: a model at one or several OpenAI-compatible endpoints.

Whatever goes wrong gives an unknown outcome with its cause, never a wrong one. May import outcomes and settings, never
verl. Start with :mod:`verl_hdpo.grading.judge.judge`.
"""
