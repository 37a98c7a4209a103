"""The command ``verl-hdpo``: a file per subcommand, with its options and the call that does it.

Imports the folders that do it. Start with :mod:`verl_hdpo.cli.main`.
"""
