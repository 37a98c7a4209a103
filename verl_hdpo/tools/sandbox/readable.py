"""The files of the host that model code may read: this interpreter, its packages and the libraries they load."""

from __future__ import annotations

import os
import site
import sys
import sysconfig
from typing import NamedTuple

_SYSTEM = (
    "/lib", "/lib32", "/lib64", "/usr/lib", "/usr/lib64", "/etc/ld.so.cache", "/etc/localtime",
    "/usr/share/zoneinfo", "/usr/share/fonts", "/dev/null", "/dev/zero", "/dev/random", "/dev/urandom",
)  # fmt: skip

_PACKAGE_DIRECTORIES = ("site-packages", "dist-packages")


def package_directories() -> list[str]:
    """Where this process finds installed packages, in the order of ``sys.path``."""
    return [path for path in sys.path if os.path.basename(path) in _PACKAGE_DIRECTORIES and os.path.isdir(path)]


class Shown(NamedTuple):
    """One path of the view.

    Attributes:
        path: where it is seen.
        source: the file or directory there, without symbolic links.
        link: for a symbolic link into another part of the view, its text.
    """

    path: str
    source: str
    link: str | None


def readable_view() -> list[Shown]:
    """Existing absolute paths, none inside another."""
    libraries = [os.path.join(prefix, name) for prefix in (sys.base_prefix, sys.prefix) for name in ("lib", "lib64")]
    packages = [*package_directories(), *site.getsitepackages(), *sysconfig.get_paths().values()]
    packages = [path for path in packages if os.path.basename(path) in _PACKAGE_DIRECTORIES]
    paths: list[str] = []
    for path in sorted({os.path.abspath(p) for p in (*_SYSTEM, *libraries, *packages) if os.path.exists(p)}):
        if not _inside(path, paths):
            paths.append(path)
    whole = [path for path in paths if not os.path.islink(path)]
    view = []
    for path in paths:
        source = os.path.realpath(path)
        is_link = os.path.islink(path) and _inside(source, whole)
        view.append(Shown(path, source, os.readlink(path) if is_link else None))
    return view


def _inside(path: str, directories: list[str]) -> bool:
    return any(path == directory or path.startswith(directory + os.sep) for directory in directories)
