"""What an error comes from, through causes, contexts and groups."""

import pytest

from verl_hdpo.runs.root_cause import root_cause


class Group(Exception):
    """As ``ExceptionGroup``, which Python 3.10 does not have."""

    exceptions = (ConnectionRefusedError(111, "refused"), OSError("other"))


def raised(error, cause=None, context=None, suppressed=False):
    error.__cause__, error.__context__, error.__suppress_context__ = cause, context, suppressed
    return error


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (RuntimeError("Connection error."), "RuntimeError: Connection error."),
        (raised(RuntimeError("a"), raised(OSError("b"), context=TimeoutError())), "TimeoutError"),
        (raised(RuntimeError("a"), context=OSError("b"), suppressed=True), "OSError: b"),
        (raised(RuntimeError("a"), Group()), "ConnectionRefusedError: [Errno 111] refused"),
    ],
)
def test_the_first_error_of_a_chain(error, told):
    assert root_cause(error) == told
