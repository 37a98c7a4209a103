"""The seam with a training of verl: its trainers, loss, agent loop and reward manager; data carried, nothing computed.

Imports verl, ``algorithm``, ``outcomes``, ``grading``, ``tools``, ``settings`` and ``runs``. Start with
:mod:`verl_hdpo.adapters.trainer`.
"""
