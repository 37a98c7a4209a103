"""The quickstart: a small model learns on the CPU, in minutes, when not to call its calculator.

It builds questions and a model that calls the calculator whether it needs to or not, trains it with stock verl, and
shows tool use and accuracy before and after. With ``--algo grpo`` one word of the run changes, and so does the end.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiment import THREADS, Experiment, run
from kept_build import Report, kept_build
from questions import Split, split
from training import STEPS, TOOLS, overrides

if TYPE_CHECKING:
    from cold_start import Recipe

HERE = Path(__file__).parent


def build_cold_start(
    path: Path,
    seed: int,
    deal: Callable[[int], Split] = split,
    tools_path: Path = TOOLS,
    recipe: Recipe | None = None,
) -> float:
    """Questions and model of ``seed`` in ``path``; returns the seconds that building them took, 0 if reused.

    Args:
        deal: gives the questions of a seed.
        tools_path: file of the calculator.
        recipe: default: the quickstart's.
    """
    import cold_start

    recipe = recipe or cold_start.Recipe()

    def build(folder: Path, report: Report) -> dict[str, Any]:
        import pandas
        import torch
        from tokenizer import make_tokenizer
        from verl.tools.function_tool import load_function_tools_from_path

        torch.set_num_threads(THREADS)
        tools = [
            tool.tool_schema.model_dump(exclude_unset=True, exclude_none=True)
            for tool in load_function_tools_from_path(str(tools_path))
        ]
        questions, tokenizer = deal(seed), make_tokenizer(tools)
        cold_start.train(tokenizer, tools, questions, recipe, seed, report).save_pretrained(folder / "model")
        tokenizer.save_pretrained(folder / "model")
        for name in ("train", "validation"):
            rows = [question.row(index) for index, question in enumerate(getattr(questions, name))]
            pandas.DataFrame(rows).to_parquet(folder / f"{name}.parquet")
        return {"recipe": asdict(recipe)}

    sources = [HERE / name for name in ("questions.py", "tokenizer.py", "cold_start.py")] + [tools_path]
    if deal is not split:
        sources.append(Path(inspect.getfile(deal)))
    return kept_build(path, seed, [*sources, *sorted((HERE / "data").glob("*.tsv"))], recipe.steps, build)


if __name__ == "__main__":
    try:
        run(Experiment("quickstart", __doc__, STEPS, build_cold_start, overrides, HERE))
    except KeyboardInterrupt:
        sys.exit("Stopped; no process of the run is left.")
