"""``verl-hdpo doctor``: can this run do what its owner means? Environment, config, files, rows, tools, reward.

Cheap checks come first, and import neither torch nor verl. Start with :mod:`verl_hdpo.doctor.probe`, which has the
order of all of them.
"""
