"""No test fails for being slow: hypothesis would allow each of its examples 200 ms."""

from hypothesis import settings

settings.register_profile("no_deadline", deadline=None)
settings.load_profile("no_deadline")
