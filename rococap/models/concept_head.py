"""A head of concepts beside a captioner: what its vision tower learns is then also what concepts are there."""

from __future__ import annotations

from torch import Tensor, nn

from rococap.models.classifier import Head
from rococap.models.label_loss import gold_of, label_loss
from rococap.types import Labels

_HEADS = 4


class ConceptHead(nn.Module):
    """A detector's head on the features that a captioner's decoder sees. Captions are generated without it.

    Args:
        width: values of each position of the features.
        weight: of its loss, beside that of the captions.
    """

    def __init__(self, labels: Labels, width: int, weight: float) -> None:
        super().__init__()
        self.labels, self.weight = labels, weight
        self.head = Head(width, len(labels), "attention", _HEADS if width % _HEADS == 0 else 1)

    def loss(self, features: Tensor, label_ids: Tensor, tokens: Tensor) -> Tensor:
        """To be added to a loss that is summed over tokens: each image weighs as much as its caption has of them.

        Args:
            features: float [batch, positions, width].
            label_ids: int64 [batch, labels], -1 where a row has fewer.
            tokens: int64 [batch], real ones.
        """
        logits = self.head(features).float()
        gold = gold_of(label_ids.clamp(min=0), (label_ids >= 0).long(), logits)
        of_image = label_loss(logits, gold, "bce").mean(dim=1)
        weighed: Tensor = self.weight * (of_image * tokens).sum()
        return weighed


def numbers_of(labels: Labels, text: str) -> tuple[int, ...]:
    """The labels among the concepts of a text."""
    return tuple(labels.numbers[cui] for cui in text.split(";") if cui in labels.numbers)
