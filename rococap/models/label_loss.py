"""What labels cost: of a detector, and of a head beside a captioner."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

Loss = Literal["bce", "asymmetric"]
_FOCUS_POSITIVE, _FOCUS_NEGATIVE, _MARGIN, _TINY = 1, 4, 0.05, 1e-6  # of the asymmetric loss


def gold_of(input_ids: Tensor, attention_mask: Tensor, logits: Tensor) -> Tensor:
    """Which labels each image has, float [batch, labels], from their numbers [batch, tokens] and which are real."""
    gold = logits.new_zeros(len(logits), logits.shape[1] + 1)  # the last column takes what is not real
    return gold.scatter_(1, input_ids.where(attention_mask.bool(), logits.shape[1]), 1.0)[:, :-1]


def label_loss(logits: Tensor, gold: Tensor, loss: Loss) -> Tensor:
    """Of each label in nats, [batch, labels]: binary cross-entropy, or the asymmetric loss of Ridnik et al. (2021).

    The latter with its authors' settings: focusing of 1 for positives and 4 for negatives, whose probabilities are
    lowered by 0.05.
    """
    if loss == "bce":
        return functional.binary_cross_entropy_with_logits(logits, gold, reduction="none")
    probable = logits.sigmoid()
    missed = (probable - _MARGIN).clamp(min=0)  # of a label that is not there
    positive = gold * (1 - probable) ** _FOCUS_POSITIVE * functional.logsigmoid(logits)
    negative = (1 - gold) * missed**_FOCUS_NEGATIVE * torch.log1p(-missed.clamp(max=1 - _TINY))
    return -(positive + negative)
