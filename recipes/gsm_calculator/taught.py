"""SmolLM2 before RL: it hands sums to the calculator, two in three of those that it knows too.

Three kinds of dialogue teach it, as in the quickstart's cold start:
    calls, on GSM8K's small sums and GSM-hard's large ones, the latter with new digits, so that it learns to copy;
    a direct answer now and then, for RL to find;
    the small sums by heart, with the decision between call and answer masked from the loss.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from cold_start import Dialogue, with_new_digits
from packed import log_probs
from questions import Question, Split
from recipe import Recipe
from sft import Row, encode, fit

ANSWER = "<answer>"


def dialogues(split: Split, recipe: Recipe, rng: random.Random) -> Iterator[tuple[Dialogue, str]]:
    """One step's dialogues, and what the answer of each begins with that is not learned."""
    for number in range(recipe.habit_rows):
        if number % 2:
            yield Dialogue(rng.choice(split.known), rng.random() < recipe.direct_not_needed), ""
        else:
            question = rng.choice(split.copied)
            question = with_new_digits(question, rng) if rng.random() < 0.75 else question
            yield Dialogue(question, rng.random() < recipe.direct_needed), ""
    for question in rng.sample(split.known[: recipe.known_sums], recipe.known_rows):
        yield Dialogue(question, direct=True), ANSWER


def teach(
    model: Any, tokenizer: Any, schemas: list[dict[str, Any]], split: Split, recipe: Recipe, seed: int,
    report: Callable[[int, float], None],
) -> None:  # fmt: skip
    """Train ``model`` in place; everything follows from ``seed``."""
    torch.manual_seed(seed)
    rng = random.Random(seed)

    def rows() -> list[Row]:
        return [encoded(tokenizer, schemas, *taught) for taught in dialogues(split, recipe, rng)]

    def loss_of(model: Any, rows: Sequence[Row]) -> torch.Tensor:
        return -log_probs(model, rows)[0].mean()

    fit(model, (rows() for _ in range(recipe.steps)), loss_of, recipe, report)


def encoded(tokenizer: Any, schemas: list[dict[str, Any]], dialogue: Dialogue, after: str) -> Row:
    text = tokenizer.apply_chat_template(dialogue.messages, tools=schemas, tokenize=False)
    return encode(tokenizer, text, after)


@torch.no_grad()
def probabilities(
    model: Any, tokenizer: Any, schemas: list[dict[str, Any]], questions: Sequence[Question], after: str = ANSWER
) -> list[float]:
    """How likely a right answer without a call is to each of ``questions``, once the model wrote ``after``."""
    rows = [encoded(tokenizer, schemas, Dialogue(question, direct=True), after) for question in questions]
    log_p, owner = log_probs(model, rows)
    return torch.zeros(len(rows), device=log_p.device).index_add_(0, owner, log_p).exp().tolist()
