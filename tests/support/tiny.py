"""A tokenizer small enough to build in a test: bytes, ChatML and the tags of the output grammar."""

from __future__ import annotations

import functools
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, Qwen3Config

TAGS = (
    "<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>",
    "<reason>", "</reason>", "<answer>", "</answer>",
)  # fmt: skip

CHAT_TEMPLATE = """{%- if tools %}<|im_start|>system
{% for tool in tools %}{{ tool | tojson }}
{% endfor %}<|im_end|>
{% endif %}{%- for m in messages %}
{%- if m.role == 'tool' %}<|im_start|>user
<tool_response>
{{ m.content }}
</tool_response><|im_end|>
{% elif m.role == 'assistant' and m.tool_calls %}<|im_start|>assistant
{{ m.content }}{% for tc in m.tool_calls %}<tool_call>
{"name": "{{ tc.function.name }}", "arguments": {{ tc.function.arguments | tojson }}}
</tool_call>{% endfor %}<|im_end|>
{% else %}<|im_start|>{{ m.role }}
{{ m.content }}<|im_end|>
{% endif %}{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""


@functools.cache
def tiny_tokenizer(special_tags: bool = False) -> PreTrainedTokenizerFast:
    """One token per byte, plus ``<|im_start|>``, ``<|im_end|>`` (eos), ``<|endoftext|>`` (pad) and ``TAGS``.

    Args:
        special_tags: make the tags special tokens, which ``skip_special_tokens`` would remove.
    """
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={char: i for i, char in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    tokenizer.add_tokens([AddedToken(tag, special=special_tags, normalized=False) for tag in TAGS])
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<|endoftext|>")
    fast.chat_template = CHAT_TEMPLATE
    return fast


def save_checkpoint_without_weights(folder: Path) -> None:
    """Config and tokenizer of a model that somebody else serves."""
    tokenizer = tiny_tokenizer()
    config = Qwen3Config(vocab_size=len(tokenizer), num_hidden_layers=1, architectures=["Qwen3ForCausalLM"])
    config.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
