"""Command lines as a shell would have filled them in; what only a shell can tell ends the line."""

import pytest
from shell import commands

SCRIPT = """
set -x
# python3 -m not.this a=1
MODEL=${MODEL:-Qwen/Qwen3-8B}
export N=4
LENGTH=$((2 * (1024 + N)))
FILES="['$HOME/a.parquet', '$HOME/b.parquet']"
ARGS=(
    data.train_files="$FILES"   # a note
    # data.seed=1
    +trainer.x=1
)
ARGS+=(data.seed=2)
"""


def test_variables_arrays_and_sums_are_filled_in():
    call = """PYTHONUNBUFFERED=1 python3 -m m "${ARGS[@]}" \\
        a=$MODEL b=$LENGTH c='[x, y]' $EXTRA_MODEL "$@" 2>&1 | tee log"""
    expected = ["data.train_files=['/home/me/a.parquet', '/home/me/b.parquet']", "+trainer.x=1", "data.seed=2"]
    expected += ["a=Qwen/Qwen3-8B", "b=2056", "c=[x, y]", "extra_model"]
    ((python, *words),) = commands(SCRIPT + call)
    assert python == "python3" and [word for word in words[2:] if word] == expected


@pytest.mark.parametrize("value", ["$(nproc)", "`date`", "${A//x/y}", "$((x / 0))"])
def test_what_only_a_shell_can_tell_ends_the_line(value):
    assert list(commands(f"python3 -m m a={value}\npython3 -m m b=1")) == [["python3", "-m", "m", "b=1"]]
