"""Whether an update of an engine is the reference's."""

from __future__ import annotations

from collections.abc import Mapping

from reference import Update
from torch import Tensor

TOLERANCE = 1e-6
"""Of the gradient's largest element; in single precision about three times what rounding comes to."""


def gradient_of(initial: Mapping[str, Tensor], weights: Mapping[str, Tensor], rate: float) -> dict[str, Tensor]:
    """What gradient descent at that rate has followed."""
    return {name: (initial[name].double() - weights[name].double()) / rate for name in initial}


def error(gradient: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> float:
    """Largest difference, as a share of the largest element expected.

    Raises:
        AssertionError: other parameters than expected.
    """
    gradient, expected = per_expert(gradient), per_expert(expected)
    assert set(gradient) == set(expected), f"not in both: {sorted(set(gradient) ^ set(expected))}"
    largest = max(g.abs().max().item() for g in expected.values())
    return max((gradient[name] - expected[name]).abs().max().item() for name in expected) / largest


def per_expert(named: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Hugging Face keeps the matrices of all experts in one tensor, and each by itself on disk, as Megatron exports."""
    found = {}
    for name, tensor in named.items():
        layer, _, fused = name.partition(".experts.")
        if fused in ("gate_up_proj", "down_proj"):
            parts = {"gate_proj": 0, "up_proj": 1} if fused == "gate_up_proj" else {"down_proj": 0}
            for expert, matrix in enumerate(tensor):
                for part, place in parts.items():
                    found[f"{layer}.experts.{expert}.{part}.weight"] = matrix.chunk(len(parts))[place]
        else:
            found[name] = tensor
    return found


def assert_same_update(gradient: Mapping[str, Tensor], metrics: Mapping[str, list[float]], expected: Update) -> None:
    """Gradient, loss and gradient norm."""
    found = error(gradient, expected.gradient)
    assert found < TOLERANCE, f"the gradient differs by {found:.1e} of its largest element"
    for name, value in (("loss", expected.loss), ("grad_norm", expected.norm)):
        difference = abs(metrics[name][0] - value)
        assert difference < 2e-6 * max(abs(value), 1.0), f"{name} is {metrics[name][0]:.7f}, not {value:.7f}"
