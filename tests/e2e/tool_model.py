"""A small model that was taught to use tools, here and on a tool server, and to give up when a tool fails.

It knows the answers. In a quarter of all cases it gives them at once, else it calls the tool that the question names
first; after a response that begins with ``Error`` it answers ``none``, which is wrong. So a rollout whose tool died
would be scored as wrong, were its outcome not unknown.
"""

from __future__ import annotations

import random
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

sys.path.insert(0, str(Path(__file__).parents[2] / "examples" / "quickstart"))
from cold_start import IGNORED, loss_of
from tokenizer import END, START, make_tokenizer

PYTHON_TOOLS, SEARCH_TOOLS = ("python", "far_python"), ("text_search", "far_search")
HEIGHTS = {"Etna": "33", "Fuji": "37"}
SECONDS_PER_CALL = 3
GIVES_UP = "none"
DIRECT, FAILING = 0.25, 0.3
ERRORS = (
    "the interpreter was killed from outside",
    "the process that all interpreters come from has died",
    "the session on the tool server is lost: http://127.0.0.1:{} answered 404",
    "the tool server gives no answer: http://127.0.0.1:{}: ConnectError: All connection attempts failed",
)


@dataclass(frozen=True)
class Question:
    """``calls``: the arguments of the calls that answer it, with what each comes to."""

    tool: str
    text: str
    answer: str
    calls: tuple[tuple[dict[str, str], str], ...]

    def row(self) -> dict[str, Any]:
        """In the columns that verl's RLHFDataset reads."""
        return {
            "data_source": self.tool,
            "prompt": [{"role": "user", "content": self.text}],
            "ability": "tools",
            "reward_model": {"style": "rule", "ground_truth": self.answer},
            "extra_info": {"index": 0},
        }

    def dialogue(self, rng: random.Random) -> list[dict[str, Any]]:
        """One of the ways in which the model is to deal with it."""
        asked = {"role": "user", "content": self.text}
        if rng.random() < DIRECT:
            return [asked, _final(self.answer)]
        failing = rng.randrange(len(self.calls)) if rng.random() < FAILING else len(self.calls)
        messages = [asked]
        for arguments, response in self.calls[:failing]:
            messages += [self._call(arguments), {"role": "tool", "content": response}]
        if failing == len(self.calls):
            return [*messages, _final(self.answer)]
        reason = rng.choice(ERRORS).format(rng.randint(1024, 65535))
        error = {"role": "tool", "content": f"Error executing tool '{self.tool}': {reason}"}
        return [*messages, self._call(self.calls[failing][0]), error, _final(GIVES_UP)]

    def _call(self, arguments: dict[str, str]) -> dict[str, Any]:
        function = {"name": self.tool, "arguments": arguments}
        return {"role": "assistant", "content": "", "tool_calls": [{"type": "function", "function": function}]}


def _final(answer: str) -> dict[str, Any]:
    return {"role": "assistant", "content": f"<answer>{answer}</answer>"}


def questions() -> list[Question]:
    """Two for each tool. Python's take two calls, so that an interpreter has something to remember."""
    found = []
    for tool in PYTHON_TOOLS:
        for n in (21, 34):
            first, value = {"code": f"n = {n}"}, str(2 * n)
            second = {"code": f"import time; time.sleep({SECONDS_PER_CALL}); n * 2"}
            found.append(Question(tool, f"{tool} {n}?", value, ((first, "[no output]"), (second, value))))
    for tool in SEARCH_TOOLS:
        for name, height in HEIGHTS.items():
            call = {"query": f"height of {name}"}, f"[1] {name}\n{height}"
            found.append(Question(tool, f"{tool} {name}?", height, (call,)))
    return found


def taught(
    schemas: list[dict[str, Any]], steps: int = 200, seed: int = 1
) -> tuple[Qwen3ForCausalLM, PreTrainedTokenizerFast]:
    """The model and its tokenizer.

    Args:
        schemas: of the tools, in the order in which verl lists them.
        steps: of AdamW.
        seed: everything follows from it.
    """
    torch.manual_seed(seed)
    rng, asked = random.Random(seed), questions()
    calls = [{"name": q.tool, "arguments": arguments} for q in asked for arguments, _ in q.calls]
    tokenizer = make_tokenizer([*schemas, *calls, *ERRORS])
    model = Qwen3ForCausalLM(
        Qwen3Config(
            vocab_size=len(tokenizer), hidden_size=96, intermediate_size=288, num_hidden_layers=2,
            num_attention_heads=3, num_key_value_heads=3, head_dim=32, max_position_embeddings=2048,
            initializer_range=96**-0.5, rope_parameters={"rope_type": "default", "rope_theta": 1000.0},
            tie_word_embeddings=True, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
            bos_token_id=None, attn_implementation="sdpa",
        )
    )  # fmt: skip
    decisions = torch.tensor(tokenizer.convert_tokens_to_ids(["<tool_call>", "<answer>"]))
    optimizer = torch.optim.AdamW(model.parameters(), lr=6e-3, betas=(0.9, 0.98), weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 6e-3, steps, pct_start=0.1)
    for step in range(steps):
        rows = [_encoded(tokenizer, schemas, rng.choice(asked).dialogue(rng)) for _ in range(16)]
        ids, labels = _padded(rows, tokenizer.pad_token_id)
        loss = loss_of(model, ids, labels, decisions, temperature=2.0 if step > 0.7 * steps else 1.0)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    return model, tokenizer


def _encoded(
    tokenizer: PreTrainedTokenizerFast, schemas: list[dict[str, Any]], messages: list[dict[str, Any]]
) -> tuple[list[int], list[int]]:
    """Token ids of a dialogue, and the labels: the assistant's."""
    text = tokenizer.apply_chat_template(messages, tools=schemas, tokenize=False)
    ids, labels = [], []
    for turn in text.split(START)[1:]:
        head = f"{START}assistant\n"
        is_model = (START + turn).startswith(head)
        before, body = (head, turn.removeprefix("assistant\n")) if is_model else (START + turn, "")
        said, end, after = body.partition(END)
        for part, is_learned in ((before, False), (said + end, True), (after, False)):
            tokens = tokenizer(part).input_ids if part else []
            ids += tokens
            labels += tokens if is_learned else [IGNORED] * len(tokens)
    return ids, labels


def _padded(rows: list[tuple[list[int], list[int]]], pad: int) -> tuple[torch.Tensor, torch.Tensor]:
    longest = max(len(ids) for ids, _ in rows)
    ids = torch.tensor([ids + [pad] * (longest - len(ids)) for ids, _ in rows])
    labels = torch.tensor([labels + [IGNORED] * (longest - len(labels)) for _, labels in rows])
    return ids, labels
