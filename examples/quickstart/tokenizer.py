"""A tokenizer of the quickstart's own: numbers in pairs of digits, and few tokens for the rest."""

from __future__ import annotations

import json
import re
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

END_OF_TEXT, START, END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
TAGS = ("<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>", "<answer>", "</answer>")
ROLES = ("system\n", "user\n", "assistant\n")
CALL_BEFORE, CALL_AFTER = '{"name": "calculator", "arguments": {"expression": "', '"}}'

# Qwen's format in short: tools in the system turn, hermes tool calls, a tool's response in a user turn.
CHAT_TEMPLATE = """{%- if tools %}<|im_start|>system
{% for tool in tools %}{{ tool | tojson }}
{% endfor %}<|im_end|>
{% endif %}{%- for m in messages %}
{%- if m.role == 'tool' %}<|im_start|>user
<tool_response>{{ m.content }}</tool_response><|im_end|>
{% elif m.role == 'assistant' and m.tool_calls %}<|im_start|>assistant
{{ m.content }}{% for call in m.tool_calls %}<tool_call>\
{"name": "{{ call.function.name }}", "arguments": {{ call.function.arguments | tojson }}}</tool_call>\
{% endfor %}<|im_end|>
{% else %}<|im_start|>{{ m.role }}
{{ m.content }}<|im_end|>
{% endif %}{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""


def make_tokenizer(tools: list[dict[str, Any]]) -> PreTrainedTokenizerFast:
    """Byte-level BPE, trained on the fixed parts of the dialogues, so that those become a token or two each.

    Pairs of digits halve the tokens of a number, and are few enough to be learned in a minute.
    """
    tokenizer = Tokenizer(models.BPE())
    always = "|".join(re.escape(text) for text in (CALL_BEFORE, CALL_AFTER, *ROLES))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(always), "isolated"),
            pre_tokenizers.Split(Regex(r"\d{1,2}"), "isolated"),
            pre_tokenizers.Split(Regex(r"[-+*/?]"), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    corpus = [json.dumps(tool) for tool in tools]
    corpus += [*ROLES, "What is 1?", f"{CALL_BEFORE}1{CALL_AFTER}", "error: not an expression of two whole numbers"]
    corpus += [f"{n:02}" for n in range(100)]
    tokenizer.train_from_iterator(
        corpus * 2,
        trainers.BpeTrainer(
            vocab_size=4000,  # enough to merge all of the corpus
            special_tokens=[END_OF_TEXT, START, END],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    tokenizer.add_tokens([AddedToken(tag, special=False, normalized=False) for tag in TAGS])
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=END, pad_token=END_OF_TEXT)
    fast.chat_template = CHAT_TEMPLATE
    return fast
