"""The price of a call: the accuracy that a call must gain for an algorithm to teach it.

Knows nothing of verl. Start with :mod:`verl_hdpo.compare.pricing.simulation`.
"""
