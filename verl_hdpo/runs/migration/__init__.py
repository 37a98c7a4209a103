"""From an older command of verl's to the one that trains with HDPO: what changed, and why.

The tables are data, shared by doctor, ``verl-hdpo migrate`` and docs/migration.md. Imports no other folder. Start with
:mod:`verl_hdpo.runs.migration.keys`.
"""
