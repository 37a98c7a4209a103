"""``verl-hdpo audit``: what each algorithm would have rewarded in a dump, and what is wrong with the dump.

Imports ``algorithm``, ``compare.pricing`` and ``evaluation.dumps``. Start with :mod:`verl_hdpo.compare.audit.run`.
"""
