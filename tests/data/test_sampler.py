"""Every index once, similar lengths together, and any epoch on demand."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from rococap.data.sampler import LengthSampler

LENGTHS = np.random.default_rng(0).geometric(1 / 33, size=1003).clip(1, 128)


def epoch(sampler: LengthSampler, number: int) -> list[list[int]]:
    sampler.set_epoch(number)
    return list(sampler)


@pytest.mark.parametrize(("count", "size"), [(1, 8), (7, 8), (8, 8), (9, 8), (179, 8), (1003, 32), (1003, 1)])
def test_every_index_exactly_once_an_epoch(count, size):
    sampler = LengthSampler(LENGTHS[:count], size, 0, shuffle=True, pool=32)
    for number in range(3):
        batches = epoch(sampler, number)
        assert sorted(itertools.chain(*batches)) == list(range(count))
        assert len(batches) == len(sampler) == -(-count // size)
        assert max(map(len, batches)) <= size


def test_seed_and_epoch_give_the_order():
    sampler = LengthSampler(LENGTHS, 8, 5, shuffle=True, pool=32)
    first = epoch(sampler, 0)
    assert epoch(sampler, 1) != first
    assert epoch(LengthSampler(LENGTHS, 8, 5, shuffle=True, pool=32), 0) == first == epoch(sampler, 0)
    assert epoch(LengthSampler(LENGTHS, 8, 6, shuffle=True, pool=32), 0) != first


def test_batches_mix_anew_each_epoch_even_in_small_sets():
    sampler = LengthSampler(LENGTHS[:179], 8, 0, shuffle=True, pool=32)
    sets = [{frozenset(batch) for batch in epoch(sampler, number)} for number in range(5)]
    assert all(not (one & other) for one, other in itertools.combinations(sets, 2))


def test_little_is_padded():
    sampler = LengthSampler(LENGTHS, 8, 0, shuffle=True, pool=32)
    padded = sum(len(batch) * LENGTHS[batch].max() for batch in epoch(sampler, 0))
    assert LENGTHS.sum() / padded > 0.9


def test_long_and_short_batches_follow_each_other_at_random():
    means = [LENGTHS[batch].mean() for batch in epoch(LengthSampler(LENGTHS, 8, 0, shuffle=True, pool=32), 0)]
    assert abs(np.corrcoef(np.arange(len(means)), means)[0, 1]) < 0.2


def test_in_order_without_shuffling():
    batches = epoch(LengthSampler(LENGTHS, 32, 0, shuffle=False, pool=32), 0)
    assert list(itertools.chain(*batches)) == list(range(1003))


@pytest.mark.parametrize("world", [2, 3, 8])
@pytest.mark.parametrize("count", [1003, 33, 1000, 17, 25, 8, 1])
@pytest.mark.parametrize("shuffle", [True, False])
def test_processes_share_out_the_batches_of_one_in_its_order(world, count, shuffle):
    one = epoch(LengthSampler(LENGTHS[:count], 24, 0, shuffle=shuffle, pool=32), 1)
    ranks = [
        epoch(LengthSampler(LENGTHS[:count], 24 // world, 0, shuffle=shuffle, pool=32, rank=rank, world=world), 1)
        for rank in range(world)
    ]
    for whole, *parts in zip(one, *ranks, strict=True):
        assert all(parts)  # each process has something to do in each step, if only an image that stands in
        turns = itertools.chain(*itertools.zip_longest(*parts))  # an image each, in turns
        assert [index for index in turns if index is not None and index >= 0] == whole


def test_without_pools_lengths_have_nothing_to_do_with_each_other():
    means = [LENGTHS[batch].mean() for batch in epoch(LengthSampler(LENGTHS, 8, 0, shuffle=True, pool=1), 0)]
    sorted_means = [LENGTHS[b].mean() for b in epoch(LengthSampler(LENGTHS, 8, 0, shuffle=True, pool=32), 0)]
    expected = LENGTHS.std() / 8**0.5
    assert np.std(means) == pytest.approx(expected, rel=0.2) and np.std(sorted_means) > 2 * expected
