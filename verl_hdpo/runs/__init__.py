"""What the commands, and some tools and graders, share: verl's command line, child processes, files, findings.

Imports no other folder of the package. Start with :mod:`verl_hdpo.runs.verl_command`.
"""
