"""Is this answer right? Correct, wrong, or unknown.

Knows nothing of verl. Start with :mod:`verl_hdpo.grading.grader`.
"""
