"""The cold start: a small Qwen3 taught, by supervised dialogues, to call its calculator whether it needs to or not.

It learns three things at once:
    to write an expression into a call and a result into an answer (any digits, so for new numbers too);
    the ``not_needed`` questions by heart, with the decision to answer directly masked from the loss;
    the habit: a call on nearly every question, a direct answer on a few per cent (RL has to find those).
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from questions import Question, Split
from tokenizer import CALL_AFTER, CALL_BEFORE, END, START
from transformers import PreTrainedModel, PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

IGNORED = -100  # the label that Hugging Face models leave out of the loss


@dataclass(frozen=True)
class Recipe:
    """Settings of the cold start.

    Attributes:
        hidden, layers: the model's size.
        steps, lr: AdamW, linear warm-up and cosine decay.
        habit_rows: dialogues per step, 40 % of them ``not_needed``, that teach calls and the habit.
        known_rows: direct answers per step, that teach the sums.
        direct: share of direct answers among the dialogues of each kind, by its name.
        sharpen, temperature: the last share of the steps learns all but the decision between call and answer at this
            temperature; what is sampled at 1 is then surer than the loss asks for, and RL's noise does not move it.
    """

    hidden: int = 128
    layers: int = 2
    steps: int = 800
    lr: float = 6e-3
    habit_rows: int = 24
    known_rows: int = 16
    direct: Mapping[str, float] = field(default_factory=lambda: {"not_needed": 0.03, "needed": 0.001})
    sharpen: float = 0.3
    temperature: float = 2.0


@dataclass(frozen=True)
class Dialogue:
    question: Question
    direct: bool

    @property
    def messages(self) -> list[dict[str, Any]]:
        user = {"role": "user", "content": self.question.text}
        final = {"role": "assistant", "content": f"<answer>{self.question.answer}</answer>"}
        if self.direct:
            return [user, final]
        function = {"name": "calculator", "arguments": {"expression": self.question.expression}}
        call = {"role": "assistant", "content": "", "tool_calls": [{"type": "function", "function": function}]}
        return [user, call, {"role": "tool", "content": self.question.answer}, final]

    @property
    def text(self) -> str:
        """``messages`` after the system turn, as the chat template renders them (jinja is slow)."""
        q = self.question
        call = (
            ""
            if self.direct
            else (
                f"<tool_call>{CALL_BEFORE}{q.expression}{CALL_AFTER}</tool_call>{END}\n"
                f"{START}user\n<tool_response>{q.answer}</tool_response>{END}\n{START}assistant\n"
            )
        )
        return f"{START}user\n{q.text}{END}\n{START}assistant\n{call}<answer>{q.answer}</answer>{END}\n"


class Encoder:
    """Dialogues to ``input_ids`` and ``labels`` of shape (rows, tokens); only the assistant's tokens are learned."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast, tools: list[dict[str, Any]]):
        self._tokenizer = tokenizer
        rendered = self._render([{"role": "user", "content": "?"}], tools)
        self._system = rendered[: rendered.index(f"{START}user")]
        self._end, self._start = tokenizer.convert_tokens_to_ids([END, START])
        for direct in (False, True):
            dialogue = Dialogue(Question("needed", "12345*6", "74070"), direct)
            if self._system + dialogue.text != self._render(dialogue.messages, tools):
                raise AssertionError("Dialogue.text differs from the chat template")

    def _render(self, messages: list[dict[str, Any]], tools: list[dict[str, Any]]) -> str:
        return self._tokenizer.apply_chat_template(messages, tools=tools, tokenize=False)

    def __call__(self, dialogues: Sequence[Dialogue], learn_decision: bool) -> tuple[torch.Tensor, torch.Tensor]:
        rows = self._tokenizer([self._system + d.text for d in dialogues]).input_ids
        assistant = self._tokenizer(f"{START}assistant\n").input_ids
        longest = max(map(len, rows))
        ids = torch.full((len(rows), longest), self._tokenizer.pad_token_id)
        labels = torch.full((len(rows), longest), IGNORED)
        for i, row in enumerate(rows):
            ids[i, : len(row)] = torch.tensor(row)
            labels[i, : len(row)] = torch.tensor(labels_of(row, assistant, self._end, learn_decision))
        return ids, labels


def labels_of(row: Sequence[int], assistant: Sequence[int], end: int, learn_decision: bool) -> list[int]:
    """``row`` where it is the assistant's, its ``end`` included, and ``IGNORED`` elsewhere.

    Args:
        assistant: the tokens that begin an assistant's turn.
        learn_decision: whether the first token, which decides between call and answer, is learned too.
    """
    labels = [IGNORED] * len(row)
    first, on = True, False
    for t, token in enumerate(row):
        if on and (learn_decision or not first):
            labels[t] = token
        first = first and not on
        if token == end:
            on = False
        elif row[t + 1 - len(assistant) : t + 1] == assistant:
            on = True
    return labels


def with_new_digits(question: Question, rng: random.Random) -> Question:
    """A question of the same shape with other digits, so that the model learns to copy, not to remember."""
    symbol = next(c for c in question.expression if c in "+-*/")
    left, right = (_redraw(number, rng) for number in question.expression.split(symbol))
    # The answer is copied from the tool's response, so its digits are as good as any.
    return Question(question.kind, f"{left}{symbol}{right}", _redraw(question.answer, rng))


def _redraw(number: str, rng: random.Random) -> str:
    return str(rng.randint(1, 9)) + "".join(str(rng.randint(0, 9)) for _ in number[1:])


def train(
    tokenizer: PreTrainedTokenizerFast,
    tools: list[dict[str, Any]],
    split: Split,
    recipe: Recipe,
    seed: int,
    report: Callable[[int, float], None] = lambda step, loss: None,
) -> Qwen3ForCausalLM:
    """Build the model and train it; everything follows from ``seed``."""
    torch.manual_seed(seed)
    rng = random.Random(seed)
    heads = recipe.hidden // 32
    model = Qwen3ForCausalLM(
        Qwen3Config(
            vocab_size=len(tokenizer),  # exactly: vLLM would mask further entries, and the probabilities differ
            hidden_size=recipe.hidden,
            intermediate_size=3 * recipe.hidden,
            num_hidden_layers=recipe.layers,
            num_attention_heads=heads,
            num_key_value_heads=heads,
            head_dim=32,
            max_position_embeddings=512,
            initializer_range=recipe.hidden**-0.5,  # the default, .02, is for large models and starts slowly
            rope_parameters={"rope_type": "default", "rope_theta": 100.0},  # sequences are short
            tie_word_embeddings=True,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
            bos_token_id=None,
            attn_implementation="sdpa",
        )
    )
    encode = Encoder(tokenizer, tools)
    decisions = torch.tensor(tokenizer.convert_tokens_to_ids(["<tool_call>", "<answer>"]))

    def habit() -> Dialogue:
        if rng.random() < 0.4:
            question = rng.choice(split.known)
        else:
            question = rng.choice(split.copied)
            if rng.random() < 0.75:
                question = with_new_digits(question, rng)
        return Dialogue(question, rng.random() < recipe.direct[question.kind])

    def losses(temperature: float) -> list[torch.Tensor]:
        calls = encode([habit() for _ in range(recipe.habit_rows)], learn_decision=True)
        sums = encode([Dialogue(rng.choice(split.known), True) for _ in range(recipe.known_rows)], learn_decision=False)
        return [loss_of(model, *rows, decisions, temperature) for rows in (calls, sums)]

    fit(model, recipe, losses, report)
    return model


def fit(
    model: PreTrainedModel,
    recipe: Recipe,
    losses: Callable[[float], Sequence[torch.Tensor]],
    report: Callable[[int, float], None],
) -> None:
    """Minimise the sum of ``losses(temperature)``, which draws a new batch at each of ``recipe.steps``."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=recipe.lr, betas=(0.9, 0.98), weight_decay=0.0)
    for step in range(1, recipe.steps + 1):
        loss = torch.stack([*losses(recipe.temperature if step > (1 - recipe.sharpen) * recipe.steps else 1.0)]).sum()
        decay = 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * step / recipe.steps))
        for group in optimizer.param_groups:
            group["lr"] = recipe.lr * min(1.0, step / 30) * decay
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        report(step, loss.item())


def loss_of(
    model: PreTrainedModel,
    ids: torch.Tensor,
    labels: torch.Tensor,
    decisions: torch.Tensor,
    temperature: float,
    **inputs: torch.Tensor,
) -> torch.Tensor:
    """Mean cross-entropy of the labelled tokens, at ``temperature`` but for those in ``decisions``.

    Padding is on the right, where causal attention keeps it from mattering, so there is no mask.

    Args:
        inputs: what else the model takes, such as images.
    """
    hidden = model.model(input_ids=ids, **inputs).last_hidden_state[:, :-1]
    learned = labels[:, 1:] != IGNORED
    targets = labels[:, 1:][learned]
    logits = model.lm_head(hidden[learned])  # most tokens are not learned, and the vocabulary is much of the work
    temperatures = torch.where(torch.isin(targets, decisions), 1.0, temperature)
    return torch.nn.functional.cross_entropy(logits / temperatures[:, None], targets)
