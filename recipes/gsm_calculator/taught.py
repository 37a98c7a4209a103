"""SmolLM2 before RL: it hands nearly every sum to the calculator, those that it knows too.

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
from questions import Question, Split
from recipe import Recipe
from sft import IGNORED, Row, encode, fit

ANSWER = "<answer>"


def dialogues(split: Split, recipe: Recipe, rng: random.Random) -> Iterator[tuple[list[Dialogue], str]]:
    """One step's rows, dialogues one after the other, and what an answer begins with that is not learned."""
    for number in range(recipe.habit_rows):
        if number % 2:
            yield [Dialogue(rng.choice(split.known), rng.random() < recipe.direct_not_needed)], ""
        else:
            question = rng.choice(split.copied)
            question = with_new_digits(question, rng) if rng.random() < 0.75 else question
            yield [Dialogue(question, rng.random() < recipe.direct_needed)], ""
    for _ in range(recipe.known_rows):
        sums = rng.sample(split.known[: recipe.known_sums], recipe.sums_per_row)
        yield [Dialogue(question, direct=True) for question in sums], ANSWER


def teach(
    model: Any, tokenizer: Any, schemas: list[dict[str, Any]], split: Split, recipe: Recipe, seed: int,
    report: Callable[[int, float], None],
) -> None:  # fmt: skip
    """Train ``model`` in place; everything follows from ``seed``."""
    torch.manual_seed(seed)
    rng = random.Random(seed)

    def rows() -> Iterator[Row]:
        for row, known in dialogues(split, recipe, rng):
            messages = [message for dialogue in row for message in dialogue.messages]
            text = tokenizer.apply_chat_template(messages, tools=schemas, tokenize=False)
            yield encode(tokenizer, text, after=known)

    fit(model, tokenizer.pad_token_id, (list(rows()) for _ in range(recipe.steps)), recipe, report)


@torch.no_grad()
def known(
    model: Any, tokenizer: Any, schemas: list[dict[str, Any]], questions: Sequence[Question], least: float
) -> list[Question]:
    """Those of ``questions`` whose right answer is ``least`` likely or more, once the model answers without a call."""
    kept = []
    for question in questions:
        messages = Dialogue(question, direct=True).messages
        ids, labels = encode(
            tokenizer, tokenizer.apply_chat_template(messages, tools=schemas, tokenize=False), after=ANSWER
        )
        targets = torch.tensor(labels[1:], device=model.device)
        right = targets != IGNORED
        hidden = model.model(input_ids=torch.tensor([ids], device=model.device)).last_hidden_state[0, :-1]
        log_p = model.lm_head(hidden[right]).log_softmax(-1).gather(-1, targets[right, None])
        if log_p.sum().exp() >= least:
            kept.append(question)
    return kept
