"""Modules and classes of a run's owner: found as ``python -m`` finds them, or what is wrong with them."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import ValidationError


class EndsProcessError(Exception):
    """Code of the owner's that would end the process, as a script does."""


@contextmanager
def ending_is_an_error() -> Iterator[None]:
    """``sys.exit`` in the owner's code, as of ``argparse`` in a script, is an error like any other.

    Raises:
        EndsProcessError: in its place.
    """
    try:
        yield
    except SystemExit as error:
        found = f"it ends the process by sys.exit({'' if error.code is None else repr(error.code)})"
        advice = "put what only a script does under if __name__ == '__main__'"
        raise EndsProcessError(f"{found}; {advice}").with_traceback(error.__traceback__) from None


def find_modules_here() -> None:
    """From now on, modules in the current folder are found.

    verl and its workers are started by ``python -m``, which looks there; a command that pip installed does not.
    """
    folder = os.getcwd()
    if folder not in sys.path and "" not in sys.path:
        sys.path.insert(0, folder)


def config_file(path: str) -> Path | None:
    """The file that verl reads for a tool yaml, a file of function tools or a yaml of loops; None if there is none.

    As verl's ``resolve_config_path``, without importing verl: in the current folder, else beside or in its package.
    """
    verl = importlib.util.find_spec("verl")
    package = Path(str(verl.origin)).parent if verl else None
    places = [Path.cwd(), *([package.parent, package] if package else [])]
    return next((place / path for place in places if (place / path).is_file()), None)


def module_problems(name: str, setting: str) -> Iterator[str]:
    """Why the module ``name`` cannot be imported.

    Args:
        setting: what names it, for the message.
    """
    find_modules_here()
    try:
        with ending_is_an_error():
            importlib.import_module(name)
    except Exception as error:  # whatever the module raises
        yield f"{setting}={name}: {_why_not_imported(name, error)}"


def class_problems(name: str, setting: str) -> Iterator[str]:
    """Why ``name``, a module and a class in it, cannot be imported; ``setting`` is what names it."""
    module_name, _, class_name = name.rpartition(".")
    if not module_name:
        yield f"{setting}={name} names no module; write module.{name}, such as my_tools.{name}"
        return
    problems = [problem.partition(": ")[2] for problem in module_problems(module_name, setting)]
    yield from (f"{setting}={name}: {problem}" for problem in problems)
    if not problems and not hasattr(module := sys.modules[module_name], class_name):
        own = sorted(key for key, value in vars(module).items() if getattr(value, "__module__", "") == module_name)
        has = ", ".join(own) or "nothing of its own"
        yield f"{setting}={name}: {module.__file__} has no {class_name}; it has {has}"


def _why_not_imported(module: str, error: Exception) -> str:
    missing = error.name if isinstance(error, ModuleNotFoundError) else None
    if missing is None:
        return f"importing {module} failed: {in_words(error)}"
    if module != missing and not module.startswith(f"{missing}."):
        return f"{module} imports {missing}, which is not installed; pip install it"
    if missing.startswith("verl."):
        return f"verl has no module {missing} any more"
    file = f"{missing.partition('.')[0]}.py"
    return (
        f"there is no module {missing} in {os.getcwd()} or among the installed packages; start in the folder of "
        f"{file}, or set PYTHONPATH to it"
    )


def in_words(error: BaseException) -> str:
    """The error with its causes, and where in the owner's code it was raised."""
    told = _named(error)
    if place := _place(error):
        told += f" ({place})"
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if cause is not None and (not str(cause) or str(cause) not in told):
        told += f"\nbecause of {in_words(cause)}"
    return told


def _named(error: BaseException) -> str:
    if isinstance(error, EndsProcessError):
        return str(error)
    if isinstance(error, ValidationError):  # pydantic's, of a tool's schema
        wrong = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]
        return f"{error.title}: {'; '.join(wrong)}"
    return f"{type(error).__name__}: {error}".rstrip(": ")


def _place(error: BaseException) -> str:
    """The innermost line that is not of an installed package."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if "site-packages" not in frame.filename and os.path.isfile(frame.filename) and not _is_ours(frame.filename):
            return f"{os.path.basename(frame.filename)}, line {frame.lineno}"
    return ""


def _is_ours(file: str) -> bool:
    return os.path.realpath(file).startswith(os.path.dirname(os.path.dirname(os.path.realpath(__file__))) + os.sep) or (
        os.path.realpath(file).startswith(os.path.dirname(os.path.realpath(os.__file__)) + os.sep)
    )
