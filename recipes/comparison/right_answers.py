"""How often the models that the mixed task starts from are right without a call, and with one.

.venv/bin/python recipes/comparison/right_answers.py outputs/comparison/mixed/start-*
"""

from __future__ import annotations

import argparse
import re
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from statistics import mean
from typing import Any, NamedTuple

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1] / "examples" / "quickstart"))

import mixed  # noqa: E402
import torch  # noqa: E402
from cold_start import IGNORED, Dialogue, Encoder  # noqa: E402
from questions import Question  # noqa: E402
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel  # noqa: E402
from verl.tools.function_tool import load_function_tools_from_path  # noqa: E402

ROWS = 64
RELIABLE = 0.8
"""flaky_calculator.py: one result in five is wrong."""


class Right(NamedTuple):
    """Of each question of a kind, the probability to be right without a call, and with one."""

    direct: Sequence[float]
    called: Sequence[float]

    @property
    def gain(self) -> float:
        """What a call gains, in the mean."""
        return mean(self.called) - mean(self.direct)

    def worth(self, price: float) -> float:
        """Share of the questions on which a call gains more than ``price``."""
        return mean([called - direct > price for direct, called in zip(self.direct, self.called, strict=True)])


def probabilities(
    model: PreTrainedModel, encode: Encoder, questions: Sequence[Question], direct: bool
) -> dict[str, list[float]]:
    """By kind, of each question, that of the right answer once the model has decided to answer directly, or of the
    right call and the answer that copies its result.

    The product of its tokens' probabilities at temperature 1: exact, no sample.
    """
    found = defaultdict(list)
    for first in range(0, len(questions), ROWS):
        some = questions[first : first + ROWS]
        ids, labels = encode([Dialogue(question, direct) for question in some], learn_decision=False)
        with torch.no_grad():
            log_probs = model(input_ids=ids).logits[:, :-1].log_softmax(-1)
        targets = labels[:, 1:]
        of_targets = log_probs.gather(-1, targets.clamp(min=0)[..., None])[..., 0] * (targets != IGNORED)
        for question, probability in zip(some, of_targets.sum(1).exp().tolist(), strict=True):
            found[question.kind].append(probability)
    return dict(sorted(found.items()))


def of_start(start: Path) -> dict[str, Right]:
    """By kind, of the model in ``start-SEED`` on the validation questions of that seed.

    Raises:
        ValueError: the folder has another name.
    """
    if not (seed := re.fullmatch(r"start-(\d+)", start.name)):
        raise ValueError(f"{start} is not called start-SEED")
    loaded = load_function_tools_from_path(str(HERE / "flaky_calculator.py"))
    tools: list[dict[str, Any]] = [
        tool.tool_schema.model_dump(exclude_unset=True, exclude_none=True) for tool in loaded
    ]
    model = AutoModelForCausalLM.from_pretrained(start / "model")
    encode = Encoder(AutoTokenizer.from_pretrained(start / "model"), tools)
    asked = mixed.mixed(int(seed[1])).validation
    direct, called = (probabilities(model, encode, asked, way) for way in (True, False))
    return {kind: Right(direct[kind], [RELIABLE * share for share in called[kind]]) for kind in direct}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("starts", type=Path, nargs="+", help="folders start-SEED of the comparison")
    parser.add_argument("--price", type=float, default=0.1, help="share that a call is to gain (default: %(default)s)")
    args = parser.parse_args()
    for start in args.starts:
        try:
            shares = of_start(start)
        except ValueError as error:
            parser.error(str(error))
        for kind, right in shares.items():
            shares_right = f"{100 * mean(right.direct):.0f} % without a call, {100 * mean(right.called):.0f} % with one"
            worth = f"worth {100 * args.price:.0f} points on {100 * right.worth(args.price):.0f} % of the questions"
            print(f"{start}: {kind}: {shares_right}, {worth}")


if __name__ == "__main__":
    main()
