"""What holds for all tests: none fails for being slow, and none takes the width of pytest's terminal for its own."""

import os

from hypothesis import settings

# Each of hypothesis's examples would have 200 ms.
settings.register_profile("no_deadline", deadline=None)
settings.load_profile("no_deadline")

# GNU readline, which pytest imports, leaves them to the processes that pytest-xdist starts.
for name in ("COLUMNS", "LINES"):
    os.environ.pop(name, None)
