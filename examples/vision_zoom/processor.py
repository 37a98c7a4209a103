"""Tokenizer, chat template and processor in Qwen3-VL's form, with one token for each fixed part of a dialogue."""

from __future__ import annotations

import json
from typing import Any

from pictures import DIGITS, QUESTION, REGIONS, SEEN
from tokenizer import END, END_OF_TEXT, ROLES, START, TAGS
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast, Qwen2VLImageProcessor, Qwen3VLProcessor, Qwen3VLVideoProcessor

VISION_START, VISION_END, IMAGE, VIDEO = "<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"
NO_TEXT = "[no output]"
"""What the python tool says beside an image."""


def box_text(region: str) -> str:
    return ", ".join(map(str, REGIONS[region]))


ZOOM_CALL = '{"name": "zoom", "arguments": {"region": "', '"}}'
PYTHON_CALL = '{"name": "python", "arguments": {"code": "image_1.crop((', '))"}}'
"""A call, before and after the region."""

# Qwen3-VL's in short. A content is a string or a list of parts, of which some are images.
CHAT_TEMPLATE = """{%- macro show(content) -%}\
{%- if content is string -%}{{ content }}{%- else -%}{%- for part in content -%}\
{%- if part.type == 'image' -%}<|vision_start|><|image_pad|><|vision_end|>{%- else -%}{{ part.text }}{%- endif -%}\
{%- endfor -%}{%- endif -%}{%- endmacro -%}\
{%- if tools %}<|im_start|>system
{% for tool in tools %}{{ tool | tojson }}
{% endfor %}<|im_end|>
{% endif %}{%- for m in messages %}
{%- if m.role == 'tool' %}<|im_start|>user
<tool_response>{{ show(m.content) }}</tool_response><|im_end|>
{% elif m.role == 'assistant' and m.tool_calls %}<|im_start|>assistant
{{ show(m.content) }}{% for call in m.tool_calls %}<tool_call>\
{"name": "{{ call.function.name }}", "arguments": {{ call.function.arguments | tojson }}}</tool_call>\
{% endfor %}<|im_end|>
{% else %}<|im_start|>{{ m.role }}
{{ show(m.content) }}<|im_end|>
{% endif %}{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""


def make_tokenizer(tools: list[dict[str, Any]]) -> PreTrainedTokenizerFast:
    """Bytes, and a token for each fixed part.

    Args:
        tools: schemas, as verl hands them to the chat template.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        special_tokens=[END_OF_TEXT, START, END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([], trainer)
    vision = (VISION_START, VISION_END, IMAGE, VIDEO)
    tokenizer.add_tokens([AddedToken(tag, special=True, normalized=False) for tag in vision])
    fixed = [*TAGS, *(json.dumps(tool) for tool in tools), *ROLES, QUESTION, NO_TEXT, "\n"]
    fixed += [*ZOOM_CALL, *PYTHON_CALL, *REGIONS, *(box_text(region) for region in REGIONS)]
    tokenizer.add_tokens([AddedToken(text, special=False, normalized=False) for text in fixed])
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=END, pad_token=END_OF_TEXT)
    fast.chat_template = CHAT_TEMPLATE
    split = [text for text in (*fixed, *DIGITS) if len(fast(text).input_ids) != 1]
    if split:
        raise AssertionError(f"more than one token: {split}")
    return fast


def make_processor(tokenizer: PreTrainedTokenizerFast) -> Qwen3VLProcessor:
    """Makes every image SEEN x SEEN pixels: 16 patches, 4 tokens."""
    settings = {
        "size": {"shortest_edge": SEEN**2, "longest_edge": SEEN**2},  # pixels and not edges, which is Qwen's way
        "patch_size": 16,
        "temporal_patch_size": 2,
        "merge_size": 2,
        "image_mean": [0.5] * 3,
        "image_std": [0.5] * 3,
    }
    return Qwen3VLProcessor(
        image_processor=Qwen2VLImageProcessor(**settings),
        video_processor=Qwen3VLVideoProcessor(**settings),
        tokenizer=tokenizer,
        chat_template=CHAT_TEMPLATE,
    )
