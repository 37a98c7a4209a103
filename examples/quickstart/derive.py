"""The quickstart's questions, ``a op b = c`` on whole numbers, derived from GSM8K and GSM-hard.

    not_needed: the steps that GSM8K's solutions annotate, ``<<48/2=24>>``, with small numbers; the most frequent.
    needed: the steps of GSM-hard's ``code`` column, worked out: one large number, one digit, and a large result.

The result is in ``data/`` already. To derive it again, give local files or Hugging Face ids:

    python derive.py --gsm8k train.jsonl test.jsonl --gsmhard gsmhardv2.jsonl
    python derive.py --gsm8k openai/gsm8k --gsmhard reasoning-machines/gsm-hard      (needs `datasets`)
"""

from __future__ import annotations

import argparse
import ast
import json
import operator
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

DATA = Path(__file__).parent / "data"
NOT_NEEDED_COUNT = 416
SMALL = range(100)
LARGE = range(10**6, 10**7)  # most of GSM-hard's large numbers
DIGIT = range(10)

Step = tuple[int, str, int]  # left, operator, right
_ANNOTATION = re.compile(r"<<\s*(\d+)\s*([-+*/])\s*(\d+)\s*=[^<>]*>>")
_OPERATORS: dict[type[ast.operator], tuple[str, Any]] = {
    ast.Add: ("+", operator.add),
    ast.Sub: ("-", operator.sub),
    ast.Mult: ("*", operator.mul),
    ast.Div: ("/", operator.truediv),
}


def rows(source: str, **config: Any) -> Iterator[dict[str, Any]]:
    """Rows of a local .jsonl file, or of every split of a Hugging Face dataset."""
    if Path(source).exists():
        with open(source) as lines:
            yield from map(json.loads, lines)
        return
    from datasets import load_dataset

    for split in load_dataset(source, **config).values():
        yield from split


def answer(step: Step) -> int | None:
    """The whole, non-negative result of a step, or None."""
    left, symbol, right = step
    if symbol == "/":
        return left // right if right and left % right == 0 else None
    result = {"+": left + right, "-": left - right, "*": left * right}[symbol]
    return result if result >= 0 else None


def annotated_steps(solution: str) -> Iterator[Step]:
    """Steps that a GSM8K solution annotates as ``<<a op b=c>>``."""
    for left, symbol, right in _ANNOTATION.findall(solution):
        yield int(left), symbol, int(right)


def code_steps(code: str) -> Iterator[Step]:
    """Steps that a GSM-hard program works out, on whole non-negative numbers.

    The program is walked, not run: straight-line assignments of numbers, names and the four operators.
    """
    values: dict[str, float | int] = {}
    steps: list[Step] = []

    def value(node: ast.expr) -> float | int | None:
        if isinstance(node, ast.Constant) and type(node.value) in (int, float):
            return node.value
        if isinstance(node, ast.Name):
            return values.get(node.id)
        if not isinstance(node, ast.BinOp) or type(node.op) not in _OPERATORS:
            return None
        left, right = value(node.left), value(node.right)
        if left is None or right is None or (isinstance(node.op, ast.Div) and right == 0):
            return None
        symbol, function = _OPERATORS[type(node.op)]
        result = function(left, right)
        if isinstance(result, float) and result.is_integer():
            result = int(result)
        if isinstance(left, int) and isinstance(right, int) and min(left, right) >= 0:
            steps.append((left, symbol, right))
        return result

    function = next(node for node in ast.parse(code.strip()).body if isinstance(node, ast.FunctionDef))
    for statement in function.body:
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            found = value(statement.value)
            if found is not None:
                values[statement.targets[0].id] = found
            else:
                values.pop(statement.targets[0].id, None)
    return iter(steps)


def _result(step: Step) -> int:
    """The result, or -1: a range looks for None by going through all of it."""
    result = answer(step)
    return -1 if result is None else result


def small(step: Step) -> bool:
    return step[0] in SMALL and step[2] in SMALL and _result(step) in SMALL


def large(step: Step) -> bool:
    """One shape, as many tokens in each, which a small model learns to copy in a minute."""
    return step[0] in LARGE and step[2] in DIGIT and len(str(_result(step))) in (7, 8)


def write(path: Path, steps: Iterable[tuple[Step, int]]) -> None:
    lines = ["expression\tanswer\tcount"]
    lines += [f"{left}{symbol}{right}\t{answer((left, symbol, right))}\t{n}" for (left, symbol, right), n in steps]
    path.write_text("\n".join(lines) + "\n")
    print(f"{path}: {len(lines) - 1} questions, {path.stat().st_size / 1000:.0f} kB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gsm8k", nargs="+", required=True, metavar="FILE_OR_ID")
    parser.add_argument("--gsmhard", required=True, metavar="FILE_OR_ID")
    args = parser.parse_args()
    easy = Counter(
        step for source in args.gsm8k for row in rows(source, name="main") for step in annotated_steps(row["answer"])
    )
    hard = Counter(step for row in rows(args.gsmhard) for step in code_steps(row["code"]))

    def by_count(item: tuple[Step, int]) -> tuple[Any, ...]:
        return -item[1], item[0]

    known = sorted(((s, n) for s, n in easy.items() if small(s)), key=by_count)[:NOT_NEEDED_COUNT]
    write(DATA / "not_needed.tsv", known)
    write(DATA / "needed.tsv", sorted(((s, n) for s, n in hard.items() if large(s)), key=by_count))


if __name__ == "__main__":
    main()
