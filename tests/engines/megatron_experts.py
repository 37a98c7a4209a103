"""megatron-core's experts without Transformer Engine, under the names that mbridge gives a grouped layer's weights."""

from __future__ import annotations

from typing import Any

import torch
from megatron.core.transformer.module import MegatronModule
from torch import Tensor


class _Weights(torch.nn.Module):
    """``weight0``, ``weight1``, ...: one matrix per local expert."""

    def __init__(self, experts: int, rows: int, columns: int, parallel: bool):
        super().__init__()
        for expert in range(experts):
            weight = torch.nn.Parameter(torch.zeros(rows, columns))
            weight.allreduce = not parallel  # of expert parallel weights, gradients are not summed over all ranks
            self.register_parameter(f"weight{expert}", weight)


class CpuExperts(MegatronModule):
    """SwiGLU experts of one rank, which get the tokens sorted by expert."""

    def __init__(self, num_local_experts: int, config: Any, submodules: Any = None, pg_collection: Any = None):
        super().__init__(config=config)
        self._experts, width = num_local_experts, config.moe_ffn_hidden_size
        parallel = config.expert_model_parallel_size > 1
        self.linear_fc1 = _Weights(num_local_experts, 2 * width, config.hidden_size, parallel)
        self.linear_fc2 = _Weights(num_local_experts, config.hidden_size, width, parallel)

    def forward(self, tokens: Tensor, tokens_per_expert: Tensor, probabilities: Tensor) -> tuple[Tensor, None]:
        """(tokens, hidden); each expert's output is weighted by the router's probability of it."""
        counts = tokens_per_expert.tolist()
        outputs = []
        for expert, (x, p) in enumerate(zip(tokens.split(counts), probabilities.split(counts), strict=True)):
            gate, up = (x @ getattr(self.linear_fc1, f"weight{expert}").T).chunk(2, dim=-1)
            hidden = torch.nn.functional.silu(gate) * up * p.unsqueeze(-1)
            outputs.append(hidden @ getattr(self.linear_fc2, f"weight{expert}").T)
        return torch.cat(outputs), None
