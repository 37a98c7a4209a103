"""Starts Ray's workers of a CPU run as forks of one process; :mod:`verl_hdpo.runs.forked_workers` says why.

``launch.py`` is what Ray starts for each worker, ``server.py`` the process that is forked.
"""
