"""What compare, eval and doctor share: verl's command line, child processes, fingerprints, findings.

Imports no other folder of the package. Start with :mod:`verl_hdpo.runs.verl_command`.
"""
