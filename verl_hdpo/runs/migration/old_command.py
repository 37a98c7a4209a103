"""The words of an old command before verl's settings: variables, interpreter, and what has no part in the new one."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from pathlib import Path

SHELLS = ("bash", "dash", "ksh", "sbatch", "sh", "source", "zsh")
SCRIPTS = (".bash", ".sbatch", ".sh", ".slurm", ".zsh")
STARTERS = (
    *("accelerate", "conda", "deepspeed", "env", "exec", "nice", "nohup", "numactl", "poetry", "ray", "srun", "stdbuf"),
    *("sudo", "taskset", "time", "torchrun", "uv"),
)
"""Programs beside python that an old command may begin with."""

_VARIABLE = re.compile(r"[A-Za-z_]\w*=")


def script_in(words: Sequence[str]) -> str:
    """The shell script that ``words`` run; empty if there is none."""
    for at, word in enumerate(words):
        if word == "-m" or word.endswith(".py"):
            break
        if Path(word).name in SHELLS:
            return next((after for after in words[at + 1 :] if not after.startswith("-")), word)
        if word.endswith(SCRIPTS) and "=" not in word:
            return word
    return ""


def start_of(words: Sequence[str], launcher: str) -> tuple[str, list[str]]:
    """How a shell starts python as ``words`` do, up to ``-m``; and the words before ``launcher`` that are left out."""
    ends = (at for at, word in enumerate(words) if word == launcher or word.endswith("verl/trainer/main_ppo.py"))
    front = [word for word in words[: next(ends, 0)] if word]
    if front[-1:] == ["-m"]:
        front.pop()
    program = next((at for at, word in enumerate(front) if _starts(word)), len(front))
    variables = [word for word in front[:program] if _VARIABLE.match(word)]
    start = [*variables, *(front[program:] or ["python3"])]
    return " ".join(map(_quoted, start)), [word for word in front[:program] if word not in variables]


def _starts(word: str) -> bool:
    name = Path(word).name
    return name in STARTERS or name.startswith("python")


def _quoted(word: str) -> str:
    """For a shell, which takes ``'NAME=value'`` in quotes for a program."""
    variable = _VARIABLE.match(word)
    name = variable[0] if variable else ""
    return name + shlex.quote(word[len(name) :])
