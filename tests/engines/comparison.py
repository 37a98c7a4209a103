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
    assert set(gradient) == set(expected), f"not in both: {sorted(set(gradient) ^ set(expected))}"
    largest = max(g.abs().max().item() for g in expected.values())
    return max((gradient[name] - expected[name]).abs().max().item() for name in expected) / largest


def assert_same_update(gradient: Mapping[str, Tensor], metrics: Mapping[str, list[float]], expected: Update) -> None:
    """Gradient, loss and gradient norm."""
    found = error(gradient, expected.gradient)
    assert found < TOLERANCE, f"the gradient differs by {found:.1e} of its largest element"
    for name, value in (("loss", expected.loss), ("grad_norm", expected.norm)):
        difference = abs(metrics[name][0] - value)
        assert difference < 2e-6 * max(abs(value), 1.0), f"{name} is {metrics[name][0]:.7f}, not {value:.7f}"
