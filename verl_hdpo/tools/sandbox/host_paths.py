"""Texts for the model without the host's directories: a library's file is told as ``json/decoder.py``."""

from __future__ import annotations

import os
import re
import sys
import sysconfig


def pattern() -> re.Pattern[bytes]:
    """What to leave out of a text: the directories that this interpreter finds modules and programs in."""
    found = {*sys.path, *sysconfig.get_paths().values(), sys.prefix, sys.base_prefix, sys.exec_prefix}
    found = {directory for path in found if os.path.isabs(path) for directory in (path, os.path.realpath(path))}
    longest_first = sorted((os.path.join(directory, "") for directory in found - {"/"}), key=len, reverse=True)
    return re.compile("|".join(map(re.escape, longest_first)).encode())
