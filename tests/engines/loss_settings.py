"""The losses that are compared: verl's policy loss and aggregation, and how HDPO joins its two channels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

AGG_MODES = ("token-mean", "token-sum", "seq-mean-token-sum", "seq-mean-token-mean", "seq-mean-token-sum-norm")
LOSS_SCALE_FACTOR = 13
"""verl's ``loss_scale_factor``; ``seq-mean-token-sum-norm`` depends on the split without one, in verl itself."""


@dataclass(frozen=True)
class LossSetting:
    loss_mode: str = "vanilla"
    agg_mode: str = "token-mean"
    combine: Literal["loss", "advantage"] = "loss"
    tool_loss_norm: Literal["all", "qualifying"] = "all"
    tool_tokens: Literal["all", "decision"] = "all"
    price: float | None = None
    """Of a call in ``priced``, whose advantage is then the only one."""
    w_acc: float = 1.0
    w_tool: float = 0.5
    entropy_coeff: float = 0.0
    kl_coef: float = 0.0
    importance_weights: bool = False
    """verl's rollout correction: a weight per token."""


SETTINGS = {
    "qualifying": LossSetting(tool_loss_norm="qualifying"),
    "paper": LossSetting(w_tool=0.15),
    "decision": LossSetting(tool_tokens="decision", tool_loss_norm="qualifying"),
    "decision-everything": LossSetting(
        tool_tokens="decision", agg_mode="seq-mean-token-mean", entropy_coeff=0.01, kl_coef=0.1, importance_weights=True
    ),
    "no-tool": LossSetting(w_tool=0.0, entropy_coeff=0.01, kl_coef=0.1),
    "advantage": LossSetting(combine="advantage"),
    "advantage-seq-mean": LossSetting(combine="advantage", agg_mode="seq-mean-token-mean", w_acc=0.5),
    "priced": LossSetting(price=0.1, w_tool=0.0),
    "token-sum": LossSetting(agg_mode="token-sum", tool_loss_norm="qualifying"),
    "seq-sum": LossSetting(agg_mode="seq-mean-token-sum", tool_loss_norm="qualifying", w_acc=0.5),
    "seq-mean": LossSetting(agg_mode="seq-mean-token-mean"),
    "seq-norm": LossSetting(agg_mode="seq-mean-token-sum-norm", tool_loss_norm="qualifying", w_tool=2.0),
    "everything": LossSetting(entropy_coeff=0.01, kl_coef=0.1, importance_weights=True, w_acc=0.7),
    "tool-only": LossSetting(w_acc=0.0, w_tool=1.0, importance_weights=True, tool_loss_norm="qualifying"),
    "gspo": LossSetting("gspo", agg_mode="seq-mean-token-mean", tool_loss_norm="qualifying"),
    "cispo": LossSetting("cispo"),
    "sapo": LossSetting("sapo", tool_loss_norm="qualifying"),
    "gpg": LossSetting("gpg", combine="advantage", agg_mode="token-sum"),
    "dppo-tv": LossSetting("dppo_tv", agg_mode="seq-mean-token-sum"),
    "dppo-kl": LossSetting("dppo_kl", tool_loss_norm="qualifying"),
    "dro": LossSetting("dro", entropy_coeff=0.01),
}
