"""What an algorithm does. Here: ``verl-hdpo compare``, several on one pipeline; their runs, what they logged, a report.

``pricing`` computes what a call must gain, ``audit`` what each would have rewarded in a dump. Imports ``algorithm``,
``adapters`` (hydra's grammar), ``evaluation`` (dumps), ``runs`` and ``settings``. Start with
:mod:`verl_hdpo.compare.comparison`.
"""
