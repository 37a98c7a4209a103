"""``verl-hdpo eval --benchmark``: needless and missed calls where others labelled them. A call is recorded, not run.

Start with :mod:`verl_hdpo.evaluation.benchmarks.run`; the benchmarks are in
:mod:`verl_hdpo.evaluation.benchmarks.catalogue`.
"""
