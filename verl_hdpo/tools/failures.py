"""How a tool says that a call failed, and whose doing that was."""

from __future__ import annotations


class BadCall(ValueError):
    """Raised by a tool for a call that the model got wrong: the text goes back to it, and the call counts.

    ``ToolUnavailable`` is the opposite, which is not the model's doing.
    """


class ToolUnavailable(RuntimeError):
    """Raised by a tool whose infrastructure failed (server down, quota spent): not the model's doing.

    Such a call is not counted, and the trajectory's outcome is unknown rather than wrong.
    """


class EndsRun(RuntimeError):
    """Raised for a mistake in tools or data that other rollouts will meet too: the run ends with its message.

    Taken for the model's mistake it would make wrong calls of right ones, for ever.
    """
