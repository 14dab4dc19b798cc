"""Nested, deterministic, and of the promised size."""

from __future__ import annotations

import itertools
import math

import pytest

from rococap.data.image import BytesImage
from rococap.data.subset import fixed_sample, subset
from rococap.types import Example, UserError

EXAMPLES = [Example(f"id_{number}", BytesImage(b"", "x"), ("text",)) for number in range(1, 1001)]

FIRST_THREE = ["id_361", "id_680", "id_773"]  # by coreutils: printf 0:id_N | sha256sum


def ids(examples) -> list[str]:
    return [example.id for example in examples]


def test_smaller_parts_lie_in_larger_ones():
    parts = [set(ids(subset(EXAMPLES, fraction, 0))) for fraction in (0.001, 0.1, 0.2, 0.5, 1.0)]
    assert [len(part) for part in parts] == [1, 100, 200, 500, 1000]
    assert all(small < large for small, large in itertools.pairwise(parts))


def test_the_size_is_the_ceiling_of_the_fraction_as_written():
    for hundredths in range(1, 101):
        assert len(subset(EXAMPLES[:100], hundredths / 100, 0)) == hundredths
    assert len(subset(EXAMPLES[:179], 0.1, 0)) == math.ceil(17.9)


def test_the_choice_is_by_id_not_by_place_and_the_same_everywhere():
    reversed_part = subset(EXAMPLES[::-1], 0.05, 3)
    assert ids(reversed_part)[::-1] == ids(subset(EXAMPLES, 0.05, 3))
    assert ids(subset(EXAMPLES, 0.05, 4)) != ids(subset(EXAMPLES, 0.05, 3))
    assert ids(fixed_sample(EXAMPLES, 3, 0)) == FIRST_THREE


def test_a_part_takes_whole_patients():
    patients = [Example(f"id_{n}", BytesImage(b"", "x"), ("text",), group=f"p{n // 7}") for n in range(700)]
    parts = [subset(patients, fraction, 0) for fraction in (0.01, 0.1, 0.5, 1.0)]
    for part, fraction in zip(parts, (0.01, 0.1, 0.5, 1.0), strict=True):
        assert 700 * fraction <= len(part) < 700 * fraction + 7 and len(part) % 7 == 0
        assert len({example.group for example in part}) == len(part) // 7
    assert all(set(ids(small)) <= set(ids(large)) for small, large in itertools.pairwise(parts))


def test_a_sample_is_at_most_everything():
    assert fixed_sample(EXAMPLES[:5], 500, 0) == EXAMPLES[:5]


@pytest.mark.parametrize("fraction", [0, -0.1, 1.5, float("nan")])
def test_a_fraction_out_of_range_is_refused(fraction):
    with pytest.raises(UserError, match=r"data\.fraction"):
        subset(EXAMPLES, fraction, 0)


def test_a_fraction_that_leaves_nothing_is_refused():
    with pytest.raises(UserError, match="leaves none"):
        subset([], 0.5, 0)
