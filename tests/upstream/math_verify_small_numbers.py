"""0 is the same as 1/10000000.

Numbers are rounded to six decimals before they are compared, however small they are.

Package: math-verify
Place: math_verify/grader.py, verify with float_rounding=6
Ours: verl_hdpo/grading/math_process.py: def near
"""

from math_verify import parse, verify


def is_there() -> bool:
    gold, answer = (parse(text, parsing_timeout=None) for text in ("$\\frac{1}{10000000}$", "$0.0$"))
    return bool(verify(gold, answer, timeout_seconds=None))


if __name__ == "__main__":
    print("still there" if is_there() else "mended")
