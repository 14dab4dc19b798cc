import csv

import pytest
from commands import ROCO
from own_captions import CAPTIONS

from rococap.metrics.guards import (
    Watch,
    common_share,
    length_limit,
    length_ratio,
    longest_repeat,
    repetition,
    unique_ratio,
)


@pytest.mark.parametrize(
    ("text", "size"),
    [("", 0), ("a b c", 0), ("to be or not to be", 2), ("The the", 1), ("no no no no", 3), ("a b c a b c a b c", 6)],
)
def test_longest_repeat(text, size):
    assert longest_repeat(text) == size


@pytest.mark.parametrize(
    ("guard", "value", "broken"),
    [
        (unique_ratio(["a", "b", "a", "c"]), 0.75, False),
        (unique_ratio(["a"] * 9 + ["b"]), 0.2, True),
        (length_ratio(["one two three"], [["one two", "one two three four"]]), 1.0, False),
        (length_ratio(["one"], [["one two three"]]), 1 / 3, True),
        (length_ratio(["one two three"], [["one"]]), 3.0, True),
        (repetition(["a b a b"] * 20), 2.0, False),
        (repetition(["of the lung " * 10] * 2 + ["a b"] * 18), 27.0, True),
        (length_limit([128, 5, 5, 5], 128), 0.25, True),
        (length_limit([127, 5], 128), 0.0, False),
        (common_share(["x-ray ", "ct"], "x-ray"), 0.5, True),
        (common_share(["mri", "ct"], "x-ray"), 0.0, False),
    ],
)
def test_a_guard_warns_out_of_bounds(guard, value, broken):
    assert guard.value == pytest.approx(value)
    assert bool(guard.warning) == broken


def test_all_guards_watch_what_they_can():
    watch = Watch(lambda text: min(4, len(text.split()) + 1), 4, "a b c d")
    guards = watch(["a b c d", "a b", "x"], [["a b"]] * 3)
    values = {guard.name: guard.value for guard in guards}
    assert values == pytest.approx(
        {"unique_ratio": 1, "repetition": 0, "length_limit": 1 / 3, "length_ratio": 7 / 6, "common_share": 1 / 3}
    )
    assert [guard.name for guard in guards if guard.warning] == ["length_limit", "common_share"]
    bare = Watch(lambda text: 1, 4, "")(["a b"], [[]])
    assert [guard.name for guard in bare] == ["unique_ratio", "repetition", "length_limit"]


@pytest.mark.parametrize("whose", ["our own", "ROCO's"])
def test_real_captions_are_in_bounds(whose):
    captions = CAPTIONS
    if whose == "ROCO's":
        if not ROCO.is_dir():
            pytest.skip(f"needs {ROCO.name}")
        with (ROCO / "test_captions.csv").open(encoding="utf-8-sig", newline="") as file:
            captions = [row["Caption"] for row in csv.DictReader(file)]
    guards = [unique_ratio(captions), repetition(captions), length_ratio(captions[:500], [[c] for c in captions])]
    assert [guard.warning for guard in guards] == ["", "", ""]
