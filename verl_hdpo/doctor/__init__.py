"""``verl-hdpo doctor``: can this run do what its owner means? Environment, registrations, config and files.

Start with :mod:`verl_hdpo.doctor.run_config`.
"""
