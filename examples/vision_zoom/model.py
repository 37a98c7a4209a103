"""A Qwen3-VL of 0.6 million parameters."""

from __future__ import annotations

from pictures import SEEN
from processor import IMAGE, VIDEO, VISION_END, VISION_START
from transformers import PreTrainedTokenizerFast, Qwen3VLConfig, Qwen3VLForConditionalGeneration

VISION_HIDDEN, VISION_LAYERS, HEAD = 64, 2, 32


def make_model(tokenizer: PreTrainedTokenizerFast, hidden: int, layers: int) -> Qwen3VLForConditionalGeneration:
    """The model, untrained.

    Args:
        hidden, layers: of the language model.
    """
    image, video, start, end = tokenizer.convert_tokens_to_ids([IMAGE, VIDEO, VISION_START, VISION_END])
    ends = {"eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id, "bos_token_id": None}
    config = Qwen3VLConfig(
        text_config={
            "vocab_size": len(tokenizer),  # exactly: vLLM would mask further entries, and the probabilities differ
            "hidden_size": hidden,
            "intermediate_size": 3 * hidden,
            "num_hidden_layers": layers,
            "num_attention_heads": hidden // HEAD,
            "num_key_value_heads": hidden // HEAD,
            "head_dim": HEAD,
            "max_position_embeddings": 512,
            "initializer_range": hidden**-0.5,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 1000.0,
                "mrope_section": [6, 5, 5],  # time, height and width; HEAD / 2 in all
                "mrope_interleaved": True,
            },
            "tie_word_embeddings": True,
            **ends,
        },
        vision_config={
            "depth": VISION_LAYERS,
            "hidden_size": VISION_HIDDEN,
            "intermediate_size": 2 * VISION_HIDDEN,
            "num_heads": VISION_HIDDEN // HEAD,
            "patch_size": 16,
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
            "out_hidden_size": hidden,
            "num_position_embeddings": (SEEN // 16) ** 2,
            "deepstack_visual_indexes": [0],
            "initializer_range": VISION_HIDDEN**-0.5,
        },
        image_token_id=image,
        video_token_id=video,
        vision_start_token_id=start,
        vision_end_token_id=end,
        tie_word_embeddings=True,
        attn_implementation="sdpa",
        **ends,
    )
    return Qwen3VLForConditionalGeneration(config)
