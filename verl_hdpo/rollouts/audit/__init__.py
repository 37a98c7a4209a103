"""The command ``audit``: what each algorithm would have rewarded in a dump, and what is wrong with the dump.

Imports ``algorithm`` and ``pricing``, and is a layer of its own: ``rollouts`` knows nothing of it. Start with
:mod:`verl_hdpo.rollouts.audit.run`.
"""
