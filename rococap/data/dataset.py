"""Prepared examples as batches. Apart from the data module, so that a spawned worker imports no Lightning."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, get_worker_info

from rococap.data.kept.features import Features
from rococap.data.kept.images import Store
from rococap.data.streamed import Streamed
from rococap.types import Batch, Beside, UserError


class CaptionDataset(Dataset[Batch]):
    """Prepared images, or their features, with tokens. A list of indices gives a batch, padded to its longest.

    An index `~i` stands in, see `Batch.ids`. So does the first of a batch of which no image can be read: it is black.
    """

    def __init__(
        self,
        images: Store | Features | Streamed,
        tokens: Sequence[Sequence[int]],
        pad_token_id: int,
        beside: Sequence[Beside] = (),
    ) -> None:
        self.images, self.tokens, self.pad_token_id, self.beside = images, tokens, pad_token_id, beside
        self.ids = [example.id for example in images.examples]

    def __getitem__(self, indices: list[int]) -> Batch:
        stands_in = indices[0] < 0
        indices = [~index for index in indices] if stands_in else indices
        arrays = self._arrays([self.ids[index] for index in indices])
        if isinstance(arrays, Fault):
            return arrays  # type: ignore[return-value]  # `Loader` raises it
        there = [index for index in indices if self.ids[index] in arrays]
        if not there:  # only images that are streamed can be found to be unreadable so late
            assert isinstance(self.images, Streamed)
            stands_in, there = True, indices[:1]
            arrays = {self.ids[there[0]]: np.zeros(self.images.shape, np.uint8)}
        ids = [self.ids[index] for index in there]
        prompts = [self.beside[index].prompt if self.beside else () for index in there]
        rows = [[*prompt, *self.tokens[index]] for prompt, index in zip(prompts, there, strict=True)]
        input_ids, attention_mask = pad(rows, self.pad_token_id, list(map(len, prompts)))
        stacked = torch.from_numpy(np.stack([arrays[name] for name in ids]))
        batch = Batch([] if stands_in else ids, input_ids, attention_mask)
        setattr(batch, self.images.kind, stacked)
        return with_beside(batch, [self.beside[index] for index in there]) if self.beside else batch

    def _arrays(self, names: Sequence[str]) -> dict[str, np.ndarray] | Fault:
        if not isinstance(self.images, Streamed):
            return {name: self.images[name] for name in names}
        try:
            return self.images.rows(names)
        except UserError as error:
            if get_worker_info() is None:
                raise NoBatch(str(error)) from error
            return Fault(str(error))


class NoBatch(UserError):
    """The next batch cannot be had, and may be had later; what was trained is as good as before."""


@dataclass(frozen=True)
class Fault:
    """Why a worker could make no batch. Raised there, it would come with a traceback."""

    text: str


class Loader(DataLoader[Batch]):
    """A DataLoader whose workers' mistakes that a user can mend are told as such: it raises NoBatch."""

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]  # more than an iterator nobody asks of it
        for batch in super().__iter__():
            if isinstance(batch, Fault):
                raise NoBatch(batch.text)
            yield batch


def with_beside(batch: Batch, beside: Sequence[Beside]) -> Batch:
    """A batch with what is known of its examples."""
    label_ids, _ = pad([each.labels for each in beside], -1)
    return replace(batch, label_ids=label_ids, prompts=[each.prompt for each in beside])


def pad(
    rows: Sequence[Sequence[int]], pad_token_id: int, left_out: Sequence[int] = ()
) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids and attention mask, int64 [batch, longest row] each, padded on the right; one column at least.

    Args:
        left_out: of each row so many ids at its beginning are not in the mask.
    """
    lengths = torch.tensor([len(row) for row in rows])
    width = max(1, int(lengths.max()))
    input_ids = torch.tensor([[*row, *[pad_token_id] * (width - len(row))] for row in rows])
    first = torch.tensor(left_out or [0] * len(rows))
    places = torch.arange(width)
    return input_ids, ((places < lengths[:, None]) & (places >= first[:, None])).long()
