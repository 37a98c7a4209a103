"""``parse`` and ``verify`` fail outside of the main thread, where reward functions run.

The time limit is a signal handler. Without it (``parsing_timeout=None``) nothing ends a formula that takes hours.

Package: math-verify
Place: math_verify/utils.py, timeout
Ours: verl_hdpo/grading/math_process.py: pool
"""

from concurrent.futures import ThreadPoolExecutor

from math_verify import parse


def is_there() -> bool:
    with ThreadPoolExecutor(1) as thread:
        try:
            thread.submit(parse, "$1+1$").result()
        except ValueError as error:
            return "thread" in str(error)
    return False


if __name__ == "__main__":
    print("still there" if is_there() else "mended")
