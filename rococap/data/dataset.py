"""Prepared examples as batches. Apart from the data module, so that a spawned worker imports no Lightning."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch.utils.data import Dataset

from rococap.data.kept.features import Features
from rococap.data.kept.images import Store
from rococap.types import Batch


class CaptionDataset(Dataset[Batch]):
    """Prepared images, or their features, with tokens. A list of indices gives a batch, padded to its longest.

    An index `~i` stands in, see `Batch.ids`.
    """

    def __init__(self, images: Store | Features, tokens: Sequence[Sequence[int]], pad_token_id: int) -> None:
        self.images, self.tokens, self.pad_token_id = images, tokens, pad_token_id
        self.ids = [example.id for example in images.examples]

    def __getitem__(self, indices: list[int]) -> Batch:
        stands_in = indices[0] < 0
        indices = [~index for index in indices] if stands_in else indices
        ids = [self.ids[index] for index in indices]
        input_ids, attention_mask = pad([self.tokens[index] for index in indices], self.pad_token_id)
        arrays = torch.from_numpy(np.stack([self.images[name] for name in ids]))
        return Batch([] if stands_in else ids, input_ids, attention_mask, **{self.images.kind: arrays})


def pad(rows: Sequence[Sequence[int]], pad_token_id: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids and attention mask, int64 [batch, longest row] each, padded on the right; one column at least."""
    lengths = torch.tensor([len(row) for row in rows])
    width = max(1, int(lengths.max()))
    input_ids = torch.tensor([[*row, *[pad_token_id] * (width - len(row))] for row in rows])
    return input_ids, (torch.arange(width) < lengths[:, None]).long()
