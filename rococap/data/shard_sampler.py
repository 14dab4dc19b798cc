"""Batches of images in shards: shard after shard in an order of each epoch, shuffled within a few of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from rococap.data.sampler import LengthSampler


class ShardSampler(LengthSampler):
    """As `LengthSampler`, of images whose shards are fetched one after another.

    The shards come in an order of seed and epoch, `window` at a time; within these all images are shuffled and sorted
    by length as there. Which batches come out hangs on nothing else but the number of machines: where these are
    several, each takes a run of the shards of its own, so that it fetches little of what another does, and all do
    equally many steps. Processes of one machine take their parts of the same batches, as there.

    Args:
        lengths, batch_size, seed, pool: see `LengthSampler`.
        shards: int [images], the number of each image's shard.
        window: shards that are shuffled together.
        rank, world: of this process, and how many there are, on this machine.
        machine, machines: the number of this machine, and how many there are.
        ahead: is told, with each batch, which shards are needed now and next, by their numbers.
    """

    def __init__(
        self,
        lengths: Sequence[int],
        batch_size: int,
        seed: int,
        *,
        pool: int,
        shards: np.ndarray,
        window: int,
        rank: int = 0,
        world: int = 1,
        machine: int = 0,
        machines: int = 1,
        ahead: Callable[[Sequence[int]], None] = lambda numbers: None,
    ) -> None:
        super().__init__(lengths, batch_size, seed, shuffle=True, pool=pool, rank=rank, world=world)
        self.shards, self.window, self.ahead = shards, window, ahead
        self.machine, self.machines = machine, machines
        self.size = batch_size * world
        # Where images cannot be shared out evenly, the first machines have one more.
        most = -(-len(lengths) // machines)
        self.sizes = [self.size] * (most // self.size) + [most % self.size] * (most % self.size > 0)

    def __iter__(self) -> Iterator[list[int]]:
        windows = self._windows()
        last = windows[-1][1][-1] if windows else np.zeros(1, np.int64)
        batches = [(number, batch) for number, (_, of_it) in enumerate(windows) for batch in of_it]
        batches += [(len(windows) - 1, last[:0])] * (len(self) - len(batches))
        for number, batch in batches[self._done() :]:
            self.ahead([shard for shards, _ in windows[number : number + 2] for shard in shards])
            yield batch[self.rank :: self.world].tolist() or [~int((batch if len(batch) else last)[0])]
        self.ahead([])

    def _windows(self) -> list[tuple[list[int], list[np.ndarray]]]:
        """The shards of each window, and its batches; what fills no batch goes into the next window."""
        random = np.random.default_rng([self.seed, self.epoch])
        place = random.permutation(int(self.shards.max(initial=-1)) + 1)[self.shards]  # of each image's shard
        order = np.argsort(place, kind="stable")
        own = np.array_split(order, self.machines)[self.machine]
        random = np.random.default_rng([self.seed, self.epoch, self.machine])
        _, turn = np.unique(place[own], return_inverse=True)  # 0, 0, 1, 1, 1 ...: the shards in their order
        found = []
        left = order[:0]
        for first in range(0, int(turn.max(initial=-1)) + 1, self.window):
            images = own[(turn >= first) & (turn < first + self.window)]
            images = np.concatenate([left, random.permutation(images)])  # what is left comes now, not later still
            shards = list(dict.fromkeys(self.shards[np.sort(images)].tolist()))
            is_last = first + self.window > turn.max()
            whole = len(images) if is_last else len(images) // self.size * self.size
            left = images[whole:]
            sizes = [self.size] * (whole // self.size) + [whole % self.size] * (whole % self.size > 0)
            if whole:
                found.append((shards, self._by_length(images[:whole], sizes, random)))
        return found
