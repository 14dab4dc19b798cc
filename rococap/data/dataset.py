"""Prepared examples as batches. Apart from the data module, so that a spawned worker imports no Lightning."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch.utils.data import Dataset

from rococap.data.store import Store
from rococap.types import Batch


class CaptionDataset(Dataset[Batch]):
    """Prepared examples with their tokens. A list of indices gives a batch, padded to its own longest caption."""

    def __init__(self, store: Store, tokens: Sequence[Sequence[int]], pad_token_id: int) -> None:
        self.store, self.tokens, self.pad_token_id = store, tokens, pad_token_id
        self.ids = [example.id for example in store.examples]

    def __getitem__(self, indices: list[int]) -> Batch:
        ids = [self.ids[index] for index in indices]
        input_ids, attention_mask = pad([self.tokens[index] for index in indices], self.pad_token_id)
        pixels = np.stack([self.store[name] for name in ids])
        return Batch(ids, input_ids, attention_mask, pixel_values=torch.from_numpy(pixels))


def pad(rows: Sequence[Sequence[int]], pad_token_id: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids and attention mask, int64 [batch, longest row] each, padded on the right; one column at least."""
    lengths = torch.tensor([len(row) for row in rows])
    width = max(1, int(lengths.max()))
    input_ids = torch.tensor([[*row, *[pad_token_id] * (width - len(row))] for row in rows])
    return input_ids, (torch.arange(width) < lengths[:, None]).long()
