"""Shard after shard, every image once an epoch, the same batches whoever reads them."""

import itertools

import numpy as np
import pytest

from rococap.data.shard_sampler import ShardSampler

COUNT, SHARDS, SIZE, WINDOW = 203, 11, 4, 3
LENGTHS = np.random.default_rng(0).geometric(1 / 20, size=COUNT).clip(1, 90)
NUMBERS = np.sort(np.random.default_rng(1).integers(SHARDS, size=COUNT))


def sampler(size=SIZE, seed=0, count=COUNT, window=WINDOW, **settings):
    settings = {"pool": 8, "shards": NUMBERS[:count], "window": window, **settings}
    return ShardSampler(LENGTHS[:count], size, seed, **settings)


def epoch(made, number=0):
    made.set_epoch(number)
    return list(made)


@pytest.mark.parametrize("count", [1, 3, 4, 5, 41, 203])
@pytest.mark.parametrize("window", [1, 3, 100])
def test_every_image_exactly_once_an_epoch(count, window):
    made = sampler(count=count, window=window)
    for number in range(3):
        batches = epoch(made, number)
        assert sorted(itertools.chain(*batches)) == list(range(count))
        assert len(batches) == len(made) and sorted(map(len, batches))[1:] == [SIZE] * (len(batches) - 1)


def test_seed_and_epoch_give_the_order():
    first = epoch(sampler())
    assert epoch(sampler()) == first
    assert len({str(epoch(sampler(seed=seed), number)) for seed in (0, 1) for number in (0, 1)}) == 4


def test_shards_come_in_another_order_in_each_epoch():
    made = sampler(window=1)
    orders = {tuple(dict.fromkeys(NUMBERS[list(itertools.chain(*epoch(made, n)))].tolist())) for n in range(4)}
    assert len(orders) == 4


def test_few_shards_are_open_at_a_time_and_those_are_mixed():
    """What fills no batch of a window is in one of the next."""
    largest = np.bincount(NUMBERS).max()
    for window in (1, 2, 3):
        seen = [set(NUMBERS[batch]) for batch in epoch(sampler(window=window))]
        for shard in range(SHARDS):
            at = [number for number, shards in enumerate(seen) if shard in shards]
            assert at[-1] - at[0] <= 2 * window * largest // SIZE + 1
        assert np.mean([len(shards) for shards in seen]) > 1 + 0.4 * (window - 1)
        assert list(dict.fromkeys(shard for shards in seen for shard in sorted(shards))) != list(range(SHARDS))


def test_lengths_are_alike_within_a_batch():
    spread = np.mean([np.ptp(LENGTHS[batch]) for batch in epoch(sampler(window=6))])
    mixed = np.mean([np.ptp(LENGTHS[batch]) for batch in epoch(sampler(window=6, pool=1))])
    assert spread < mixed / 2


@pytest.mark.parametrize("world", [2, 3])
def test_processes_of_a_machine_share_out_the_batches_of_one(world):
    alone = epoch(sampler(size=6), 1)
    parts = [epoch(sampler(size=6 // world, rank=rank, world=world), 1) for rank in range(world)]
    assert {len(part) for part in parts} == {len(alone)}
    for batch, *shares in zip(alone, *parts, strict=True):
        assert sorted(index for share in shares for index in share if index >= 0) == sorted(batch)


@pytest.mark.parametrize(("machines", "count"), [(2, 203), (3, 203), (4, 29), (3, 2)])
def test_machines_read_shards_of_their_own_and_do_equally_many_steps(machines, count):
    made = [
        [epoch(sampler(count=count, rank=r, world=2, machine=m, machines=machines), 1) for r in range(2)]
        for m in range(machines)
    ]
    flat = [part for machine in made for part in machine]
    assert len({len(part) for part in flat}) == 1
    real = [index for part in flat for batch in part for index in batch if index >= 0]
    assert sorted(real) == list(range(count))
    read = [{NUMBERS[i] for part in machine for batch in part for i in batch if i >= 0} for machine in made]
    assert sum(map(len, read)) <= len(set(NUMBERS[:count])) + machines - 1


def test_a_run_goes_on_without_shards_that_are_done():
    whole, asked = epoch(sampler(), 1), []
    made = sampler(ahead=lambda numbers: asked.append(tuple(numbers)))
    made.go_on(1, 30)
    assert list(made) == whole[30:]
    assert asked[-1] == () and set(asked[0]) < set(range(SHARDS)) and len(set(asked)) < 5
    needed = [set(NUMBERS[batch].tolist()) for batch in whole[30:]]
    assert all(shards <= set(told) for shards, told in zip(needed, asked, strict=False))
