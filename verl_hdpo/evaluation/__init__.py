"""What a model does. Here: ``verl-hdpo eval``, how it uses its tools on a set of questions; two models side by side.

``dumps`` reads rollouts that runs left on disk, ``look`` shows them; both know nothing of verl. ``datasets`` makes data
verl's, and imports ``runs``, ``grading``, ``settings`` and ``tools``. The rest imports ``runs``, ``outcomes``,
``adapters`` and verl. Start with :mod:`verl_hdpo.evaluation.run`.
"""
