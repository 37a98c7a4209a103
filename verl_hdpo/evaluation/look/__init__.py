"""``verl-hdpo look``: the rollouts of a run or an evaluation, to read in a browser or a terminal, and to export.

Imports ``evaluation.dumps``, which reads them, and knows nothing of verl. Start with
:mod:`verl_hdpo.evaluation.look.page`.
"""
