"""``root_cause``: what an error comes from; clients of HTTP say no more than "Connection error."."""

from __future__ import annotations


def root_cause(error: BaseException) -> str:
    """The first error of the chain that led to ``error``, such as ``ConnectionRefusedError: ...``."""
    while (before := _before(error)) is not None:
        error = before
    return f"{type(error).__name__}: {error}".rstrip(": ")


def _before(error: BaseException) -> BaseException | None:
    if isinstance(group := getattr(error, "exceptions", None), tuple):  # one for each address of a host
        return group[0]
    return error.__cause__ or error.__context__  # httpcore2 suppresses the system's error, which alone says why
