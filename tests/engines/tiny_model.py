"""Qwen3s of some 40 thousand parameters on disk, dense or with experts; Hugging Face, FSDP and Megatron load them."""

from __future__ import annotations

from pathlib import Path

import torch
from rollouts import PAD, VOCAB
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    PreTrainedTokenizerFast,
    Qwen3Config,
    Qwen3ForCausalLM,
    Qwen3MoeConfig,
    Qwen3MoeForCausalLM,
)

LAYERS = 4  # two stages of the pipeline with two chunks each
LORA_RANK, LORA_ALPHA = 4, 8


EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 24, "norm_topk_prob": True}
MODELS = {"dense": (Qwen3ForCausalLM, Qwen3Config, {}), "experts": (Qwen3MoeForCausalLM, Qwen3MoeConfig, EXPERTS)}


def write_model(path: Path, kind: str = "dense", seed: int = 0) -> None:
    torch.manual_seed(seed)
    model_class, config_class, more = MODELS[kind]
    config = config_class(
        vocab_size=VOCAB,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=LAYERS,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        max_position_embeddings=64,
        initializer_range=0.1,
        tie_word_embeddings=False,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=PAD,
        **more,
    )
    model = model_class(config).float()
    torch.nn.init.normal_(model.model.embed_tokens.weight)  # as large as what the layers add: rounding is not amplified
    model.save_pretrained(path)
    words = {"<pad>": PAD, "<bos>": 1, "<eos>": 2, **{f"w{i}": i for i in range(3, VOCAB)}}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<pad>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", bos_token="<bos>", eos_token="<eos>"
    ).save_pretrained(path)


def write_adapter(model_path: Path, path: Path, seed: int = 1) -> None:
    """A LoRA adapter with both matrices away from zero, so that both have a gradient."""
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(seed)
    config = LoraConfig(task_type="CAUSAL_LM", r=LORA_RANK, lora_alpha=LORA_ALPHA, target_modules="all-linear")
    model = get_peft_model(Qwen3ForCausalLM.from_pretrained(model_path), config)
    for name, parameter in model.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    model.save_pretrained(path)
