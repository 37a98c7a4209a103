"""The cold start: SmolLM2, which has never seen a tool, learns on scripted dialogues to call one."""

from __future__ import annotations

import itertools
import math
import random
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from gsm8k import Message, Problem, calling_dialogue, direct_dialogue
from smollm2 import END, START

IGNORED = -100  # the label that Hugging Face models leave out of the loss
Row = tuple[list[int], list[int]]  # token ids and labels
_ASSISTANT = re.compile(rf"{re.escape(START)}assistant\n(.*?{re.escape(END)})", re.DOTALL)


@dataclass(frozen=True)
class Recipe:
    """Settings of the cold start.

    Attributes:
        steps, lr: AdamW, linear warm-up and cosine decay.
        batch: dialogues per step.
        trained_layers: the last ones, the others stay as they are, which halves the work.
        most_steps, most_tokens: longer solutions and dialogues are left out.
        direct: share of dialogues without a call.
    """

    steps: int = 40
    lr: float = 5e-4
    batch: int = 4
    trained_layers: int = 10
    most_steps: int = 3
    most_tokens: int = 320
    direct: float = 0.25


def encode(tokenizer: Any, text: str, after: str = "") -> Row:
    """Token ids and labels of a rendered dialogue: only what the assistant wrote, with its end token, is learned.

    Args:
        after: what an assistant's turn may begin with that is not learned.
    """
    found = tokenizer(text, return_offsets_mapping=True, add_special_tokens=False)
    spans = [
        (match.start(1) + len(after) * match[1].startswith(after), match.end(1)) for match in _ASSISTANT.finditer(text)
    ]
    labels = [
        token if any(first <= start and end <= last for first, last in spans) else IGNORED
        for token, (start, end) in zip(found.input_ids, found.offset_mapping, strict=True)
    ]
    return found.input_ids, labels


def dialogues(problems: Sequence[Problem], tool: Any, direct: float, rng: random.Random) -> list[list[Message]]:
    """One dialogue for each problem that has a calling one, the share ``direct`` of them without calls."""
    chosen = []
    for problem in problems:
        calling = calling_dialogue(problem, tool.name, tool.fn)
        if calling is not None:
            chosen.append(direct_dialogue(problem) if rng.random() < direct else calling)
    return chosen


def train(
    model: Any,
    tokenizer: Any,
    tool: Any,
    schemas: list[dict[str, Any]],
    problems: Sequence[Problem],
    recipe: Recipe,
    seed: int,
    report: Callable[[int, float], None],
) -> None:
    """Train ``model`` in place."""
    torch.manual_seed(seed)
    rng = random.Random(seed)
    rows = []
    for messages in dialogues(problems, tool, recipe.direct, rng):
        ids, labels = encode(tokenizer, tokenizer.apply_chat_template(messages, tools=schemas, tokenize=False))
        if len(ids) <= recipe.most_tokens:
            rows.append((ids, labels))
        if len(rows) == recipe.steps * recipe.batch:
            break
    if len(rows) < recipe.batch:
        raise ValueError(f"{len(rows)} dialogues from {len(problems)} problems; is --data GSM8K's annotated train set?")
    taken = itertools.cycle(rows)
    batches = ([next(taken) for _ in range(recipe.batch)] for _ in range(recipe.steps))
    fit(model, batches, partial(loss_of, pad=tokenizer.pad_token_id), recipe, report)


def fit(
    model: Any,
    batches: Iterable[Sequence[Row]],
    loss_of: Callable[[Any, Sequence[Row]], torch.Tensor],
    recipe: Any,
    report: Callable[[int, float], None],
) -> None:
    """Train the last layers of ``model`` on a batch per step, by ``recipe``'s steps, lr and trained_layers."""
    model.requires_grad_(False)
    for module in (*model.model.layers[-recipe.trained_layers :], model.model.norm):
        module.requires_grad_(True)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=recipe.lr, betas=(0.9, 0.98), weight_decay=0.0)
    model.train()
    for step, batch in enumerate(batches, 1):
        loss = loss_of(model, batch)
        scale = min(1.0, step / 5) * (0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * step / recipe.steps)))
        optimizer.param_groups[0]["lr"] = recipe.lr * scale
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        report(step, loss.item())
    model.requires_grad_(True)
    model.eval()


def loss_of(model: Any, batch: Sequence[Row], pad: int) -> torch.Tensor:
    """Mean cross-entropy of the labelled tokens; padding is on the right, where causal attention does not see it."""
    longest = max(len(ids) for ids, _ in batch)
    ids = torch.tensor([ids + [pad] * (longest - len(ids)) for ids, _ in batch], device=model.device)
    labels = torch.tensor([labels + [IGNORED] * (longest - len(labels)) for _, labels in batch], device=model.device)
    hidden = model.model(input_ids=ids).last_hidden_state[:, :-1]
    learned = labels[:, 1:] != IGNORED
    # Most tokens are not learned, and a vocabulary of 49,152 is much of the work.
    return torch.nn.functional.cross_entropy(model.lm_head(hidden[learned]), labels[:, 1:][learned])
