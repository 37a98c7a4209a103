"""``verl-hdpo compare``: several algorithms on one pipeline; their runs, what those logged, and a report of it.

Imports ``runs`` and ``settings``. Start with :mod:`verl_hdpo.compare.comparison`.
"""
