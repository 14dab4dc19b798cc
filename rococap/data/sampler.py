"""Batches of captions of similar length: shuffled epoch by epoch, reproducible from seed and epoch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from torch.utils.data import Sampler


class LengthSampler(Sampler[list[int]]):
    """Lists of indices of similar length, every index exactly once an epoch.

    Give it to a DataLoader as `sampler` with `batch_size=None`: there Lightning finds `set_epoch`. It cares for
    several processes itself (`use_distributed_sampler=False`): each rank takes its part of the same global batch,
    so that all do equally many steps, no index is repeated or dropped, and the order is that of one process. A rank for
    which the last part has no index left gets `[~i]`: the image `i` stands in, and counts nothing.

    Args:
        pool: batches within which captions are sorted by length; an epoch has four pools at least. On 14,405 captions
            of ROCO the share of real tokens at batch 8 is 0.46 with 1, 0.75 with 8, 0.91 with 32, 0.95 with 64.
    """

    def __init__(
        self,
        lengths: Sequence[int],
        batch_size: int,
        seed: int,
        *,
        shuffle: bool,
        pool: int,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        self.lengths = np.asarray(lengths)
        self.seed, self.shuffle, self.pool, self.rank, self.world = seed, shuffle, pool, rank, world
        count, size = len(lengths), batch_size * world
        self.sizes = [size] * (count // size) + [count % size] * (count % size > 0)
        self.epoch, self._from = 0, (0, 0)

    def go_on(self, epoch: int, batches: int) -> None:
        """Choose the epoch to come, and how many of its batches are done already."""
        self.epoch, self._from = epoch, (epoch, batches)

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch to come."""
        self.epoch = epoch

    def __len__(self) -> int:
        """Batches of a whole epoch."""
        return len(self.sizes)

    def __iter__(self) -> Iterator[list[int]]:
        batches = self._shuffled() if self.shuffle else self._in_order()
        for batch in batches[self._done() :]:
            yield batch[self.rank :: self.world].tolist() or [~int(batch[0])]

    def _done(self) -> int:
        """How many batches of the epoch to come are done."""
        return self._from[1] if self.epoch == self._from[0] else 0

    def _in_order(self) -> list[np.ndarray]:
        return np.split(np.arange(len(self.lengths)), np.cumsum(self.sizes)[:-1])

    def _shuffled(self) -> list[np.ndarray]:
        random = np.random.default_rng([self.seed, self.epoch])
        order = random.permutation(len(self.lengths))
        return self._by_length(order, self.sizes, random)

    def _by_length(self, order: np.ndarray, sizes: Sequence[int], random: np.random.Generator) -> list[np.ndarray]:
        """Batches of so many indices, each of similar lengths, of indices in a random order; it is overwritten."""
        pool = max(sizes, default=1) * min(self.pool, -(-len(self) // 4))
        for first in range(0, len(order), pool):
            part = order[first : first + pool]
            order[first : first + pool] = part[np.argsort(self.lengths[part], kind="stable")]
        # Batches of uneven size may lie anywhere in the order, or the last would always hold the longest captions.
        batches = np.split(order, np.cumsum(random.permutation(sizes))[:-1])
        return [batches[place] for place in random.permutation(len(batches))]
