"""The independent reference: one loss over the whole mini-batch, written from the formulas, and plain autograd.

A Hugging Face model, row by row, in double precision. Nothing of verl or verl_hdpo is imported, and nothing knows of
micro-batches, ranks or padding.

Shape suffixes: B rows, T response tokens of a row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import plain_estimators
import torch
from loss_settings import LOSS_SCALE_FACTOR, LossSetting
from plain_estimators import Row
from rollouts import GROUPS, Rollouts
from torch import Tensor
from transformers import AutoModelForCausalLM, PreTrainedModel

TEMPERATURE = 0.9
CLIP, DUAL_CLIP, DRO_BETA, TAU_POS, TAU_NEG = 0.2, 3.0, 0.1, 1.0, 1.05


@dataclass
class Update:
    """One gradient and the losses it belongs to."""

    loss: float
    tool_loss: float
    gradient: dict[str, Tensor]

    @property
    def norm(self) -> float:
        return torch.stack([g.norm() for g in self.gradient.values()]).norm().item()


class Reference:
    """The model at ``path``, with its adapter if there is one; ``parameters`` are those that are trained."""

    def __init__(self, path: Path, adapter: Path | None = None):
        self.model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
            path, dtype=torch.float64, attn_implementation="eager", experts_implementation="eager"
        )
        if adapter is not None:
            from peft import PeftModel

            self.model = PeftModel.from_pretrained(self.model, adapter, is_trainable=True).double()
        self.parameters = {name: p for name, p in self.model.named_parameters() if p.requires_grad}

    def log_probs(self, prompt: Tensor, response: Tensor) -> tuple[Tensor, Tensor]:
        """Log-probability and entropy of each response token, (T,) and (T,)."""
        logits = self.model(torch.cat([prompt, response])[None]).logits[0] / TEMPERATURE
        log_p = torch.log_softmax(logits[len(prompt) - 1 : -1], dim=-1)
        return log_p.gather(-1, response[:, None])[:, 0], -(log_p.exp() * log_p).sum(-1)

    def update(self, batch: Rollouts, setting: LossSetting, rows: Sequence[int] | None = None) -> Update:
        """Loss and gradient of one mini-batch, by default of all rows."""
        rows = range(len(batch.prompts)) if rows is None else rows
        self.model.zero_grad()
        loss, tool_loss = two_channel_loss(self, batch, setting, rows)
        loss.backward()
        gradient = {
            name: p.grad.clone() if p.grad is not None else torch.zeros_like(p) for name, p in self.parameters.items()
        }
        return Update(loss.item(), tool_loss.item(), gradient)

    def descend(self, gradient: dict[str, Tensor], rate: float) -> None:
        with torch.no_grad():
            for name, p in self.parameters.items():
                p -= rate * gradient[name]


def two_channel_loss(
    reference: Reference, batch: Rollouts, setting: LossSetting, rows: Sequence[int]
) -> tuple[Tensor, Tensor]:
    """L = w_acc L_pg(A_acc) + w_tool L_pg(A_tool) - c_H H + c_KL KL, and L_pg(A_tool) alone.

    combine=advantage: one L_pg(w_acc A_acc + w_tool A_tool) in the place of the first two. With a price, A_acc is the
    advantage of ``priced``.
    """
    acc, tool, entropy, kl = {}, {}, {}, {}
    acc_B = batch.acc_B if setting.price is None else priced_advantages(batch, setting.price)
    for i in rows:
        log_prob, entropy[i] = reference.log_probs(batch.prompts[i], batch.responses[i])
        old, mask = batch.old_log_probs[i].double(), batch.masks[i]
        advantage = acc_B[i].double()
        if setting.combine == "advantage":
            advantage = setting.w_acc * advantage + setting.w_tool * batch.tool_B[i].double()
        acc[i] = surrogate(setting.loss_mode, advantage, log_prob, old, mask)
        tool[i] = surrogate(setting.loss_mode, batch.tool_B[i].double(), log_prob, old, mask)
        if setting.tool_tokens == "decision":
            tool[i] = tool[i] * batch.decides[i]
        if setting.importance_weights:
            acc[i] = acc[i] * batch.importance_weights[i]
            tool[i] = tool[i] * batch.importance_weights[i]
        difference = batch.ref_log_probs[i].double() - log_prob
        kl[i] = difference.exp() - difference - 1

    # SAPO is an average over sequences whatever else is asked for.
    mode = "seq-mean-token-mean" if setting.loss_mode == "sapo" else setting.agg_mode
    everyone = list(rows)
    qualifying = [i for i in rows if batch.correct_B[i]] if setting.tool_loss_norm == "qualifying" else everyone
    acc_loss = aggregate(acc, batch.masks, mode, everyone)
    tool_loss = aggregate(tool, batch.masks, mode, qualifying)
    loss = acc_loss if setting.combine == "advantage" else setting.w_acc * acc_loss + setting.w_tool * tool_loss
    loss = loss - setting.entropy_coeff * aggregate(entropy, batch.masks, setting.agg_mode, everyone)
    return loss + setting.kl_coef * aggregate(kl, batch.masks, setting.agg_mode, everyone), tool_loss


def priced_advantages(batch: Rollouts, price: float) -> Tensor:
    """(B,), reward 1 for a right answer."""
    of_row = zip(GROUPS, batch.tokens_B.tolist(), batch.correct_B.tolist(), batch.cost_B.tolist(), strict=True)
    rows = [Row(float(right), group, tokens > 0, right, cost) for group, tokens, right, cost in of_row]
    return torch.tensor(plain_estimators.priced(rows, price), dtype=torch.float64)


def aggregate(values: dict[int, Tensor], masks: list[Tensor], mode: str, counted: Sequence[int]) -> Tensor:
    """The average of ``values`` over the rows ``counted``; the others must add nothing to it.

    token-mean divides by their trained tokens, the seq-mean modes by their number: verl's batch size is fixed, so
    rows without a trained token count too.
    """
    sums = {i: (v * masks[i]).sum() for i, v in values.items()}
    total = torch.stack([*sums.values()]).sum()
    if mode == "token-sum":
        return total
    if mode == "token-mean":
        return total / max(sum(int(masks[i].sum()) for i in counted), 1)
    if mode == "seq-mean-token-mean":
        total = torch.stack([s / masks[i].sum().clamp(min=1) for i, s in sums.items()]).sum()
    mean = total / max(len(counted), 1)
    return mean / LOSS_SCALE_FACTOR if mode == "seq-mean-token-sum-norm" else mean


def surrogate(mode: str, advantage: Tensor, log_prob: Tensor, old: Tensor, mask: Tensor) -> Tensor:
    """Loss of each token of one rollout under a policy loss that verl registers, (T,)."""
    ratio = (log_prob - old).exp()
    fixed, old_p = log_prob.detach(), old.exp()
    if mode == "vanilla":  # PPO with dual clip, arXiv 1707.06347 and 1912.09729
        loss = torch.maximum(-advantage * ratio, -advantage * ratio.clamp(1 - CLIP, 1 + CLIP))
        return torch.minimum(loss, -advantage * DUAL_CLIP) if advantage < 0 else loss
    if mode == "gspo":  # arXiv 2507.18071, the token form
        sequence_ratio = (((fixed - old) * mask).sum() / mask.sum().clamp(min=1)).exp()
        ratio = sequence_ratio * (log_prob - fixed).exp()
        return torch.maximum(-advantage * ratio, -advantage * ratio.clamp(1 - CLIP, 1 + CLIP))
    if mode == "cispo":  # arXiv 2506.13585
        return -ratio.detach().clamp(1 - CLIP, 1 + CLIP) * advantage * log_prob
    if mode == "sapo":  # arXiv 2511.20347
        tau = TAU_POS if advantage > 0 else TAU_NEG
        return -advantage * torch.sigmoid(tau * (ratio - 1)) * 4 / tau
    if mode == "gpg":  # arXiv 2504.02546
        return -advantage * log_prob
    if mode in ("dppo_tv", "dppo_kl"):  # arXiv 2602.04879
        p = fixed.exp()
        if mode == "dppo_tv":
            divergence = (p - old_p).abs()
        else:
            divergence = old_p * (old - fixed) + (1 - old_p) * ((1 - old_p) / (1 - p)).log()
        moving_away = p > old_p if advantage > 0 else p < old_p
        kept = ~(moving_away & (divergence > CLIP))
        return -advantage * ratio.detach().clamp(max=DUAL_CLIP) * log_prob * kept
    if mode == "dro":  # a quadratic penalty on the log-ratio
        return -(advantage * log_prob - DRO_BETA / 2 * (log_prob - old) ** 2)
    raise ValueError(f"no formula for the policy loss {mode!r}")
