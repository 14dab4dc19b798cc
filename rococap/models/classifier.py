"""A vision tower with a head that gives each label a logit. It needs torch alone: exported READMEs hold these lines."""

from __future__ import annotations

import torch


class Head(torch.nn.Module):
    """From what a tower gives, [batch, positions, width], to logits [batch, labels].

    With pooling `attention` each label looks for itself: its query, in several heads, over keys and values that all
    labels share (label-wise attention, Mullenbach et al. 2018, arXiv:1802.05695, with the heads and the layer of two
    steps of Vaswani et al. 2017). With `mean` and `cls` all see one vector: the mean of all positions, or the first.
    """

    def __init__(self, width: int, labels: int, pooling: str, heads: int) -> None:
        super().__init__()
        self.pooling, self.heads = pooling, heads
        self.norm = torch.nn.LayerNorm(width)
        self.weight = torch.nn.Parameter(0.02 * torch.randn(labels, width))
        self.bias = torch.nn.Parameter(torch.zeros(labels))
        if pooling == "attention":
            self.key = torch.nn.Linear(width, width, bias=False)
            self.value = torch.nn.Linear(width, width)
            self.query = torch.nn.Parameter(torch.randn(labels, width))
            self.mix = torch.nn.Sequential(
                torch.nn.LayerNorm(width),
                torch.nn.Linear(width, 2 * width),
                torch.nn.GELU(),
                torch.nn.Linear(2 * width, width),
            )

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        if self.pooling != "attention":
            seen = features.mean(dim=1) if self.pooling == "mean" else features[:, 0]
            return torch.nn.functional.linear(self.norm(seen), self.weight, self.bias)
        normal = self.norm(features)
        values = self.split(torch.nn.functional.gelu(self.value(normal)))
        seen = (self.attention(normal) @ values).transpose(1, 2).flatten(2)  # [batch, labels, width]
        logits: torch.Tensor = ((seen + self.mix(seen)) * self.weight).sum(dim=-1) + self.bias
        return logits

    def attention(self, normal: torch.Tensor) -> torch.Tensor:
        """Where each label looks, [batch, heads, labels, positions]: shares that sum to 1 over the positions.

        `normal` is what `norm` gives of features.
        """
        keys = self.split(self.key(normal))
        alike: torch.Tensor = self.split(self.query[None]) @ keys.mT / keys.shape[-1] ** 0.5
        return alike.softmax(dim=-1)

    def split(self, vectors: torch.Tensor) -> torch.Tensor:
        """[batch, vectors, width] -> [batch, heads, vectors, width of a head]."""
        return vectors.reshape(*vectors.shape[:2], self.heads, -1).transpose(1, 2)


class Classifier(torch.nn.Module):
    """A vision tower, and a head on what its last layer gives."""

    def __init__(self, encoder: torch.nn.Module, width: int, labels: int, pooling: str, heads: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = Head(width, labels, pooling, heads)

    def forward(self, pixel_values: torch.Tensor) -> torch.Tensor:
        """Logits [batch, labels] of normalised pixels [batch, 3, height, width]."""
        logits: torch.Tensor = self.head(self.encoder(pixel_values=pixel_values).last_hidden_state)
        return logits
