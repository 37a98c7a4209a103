"""Megatron's gradients are too long under context parallelism with ``calculate_per_token_loss``.

A micro-batch's tokens are counted as ``tokens // cp_size``. Megatron divides by the sum of these counts, so every
gradient is longer by tokens / (cp * sum of the floors), whatever the loss.

Package: verl
Place: verl/workers/engine/megatron/transformer_impl.py, where local_num_tokens is set
Ours: tests/engines/test_engines.py: sum of the floors
"""

import importlib.util
from pathlib import Path


def is_there() -> bool:
    verl = Path(importlib.util.find_spec("verl").origin).parent  # Megatron need not be installed
    source = (verl / "workers" / "engine" / "megatron" / "transformer_impl.py").read_text()
    return any("tokens" in line and "// cp" in line for line in source.splitlines())


if __name__ == "__main__":
    print("still there" if is_there() else "mended")
