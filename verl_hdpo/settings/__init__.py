"""Every setting of the package: typed, frozen, unknown keys refused with a suggestion.

Imports neither torch nor verl. Start with :mod:`verl_hdpo.settings.group`, what all groups of settings share.
"""
