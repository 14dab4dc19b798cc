"""Counts of 1- to 4-grams as arrays: what BLEU and CIDEr share, over all pairs of texts at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rococap.metrics.base import FloatArray, IntArray

LONGEST = 4


@dataclass(frozen=True, slots=True)
class Ngrams:
    """The different n-grams of each row, which is a text or a group of texts."""

    starts: IntArray  # [rows + 1]: those of row r are the entries starts[r]:starts[r + 1]
    grams: IntArray  # [entries] which n-gram; ascending within a row
    counts: IntArray  # [entries] how often
    sizes: IntArray  # [n-grams] n - 1 of each

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def rows(self) -> IntArray:
        """`[entries]`: the row of each."""
        return np.repeat(np.arange(len(self)), np.diff(self.starts))

    def part(self, first: int, last: int) -> Ngrams:
        """The rows from `first` up to `last`."""
        start, end = self.starts[first], self.starts[last]
        return Ngrams(self.starts[first : last + 1] - start, self.grams[start:end], self.counts[start:end], self.sizes)

    def grouped(self, groups: IntArray) -> Ngrams:
        """A row for each group, with the highest count of each n-gram in its rows; `groups [rows]` ascends from 0."""
        return _table(groups[self.rows], self.grams, self.counts, int(groups[-1]) + 1, self.sizes, np.maximum)

    def by_size(self, rows: IntArray, grams: IntArray, values: FloatArray | IntArray, total: int) -> FloatArray:
        """Sums `[total, 4]` of values over rows and n: `rows`, `grams` and `values` are `[entries]`."""
        places = rows * LONGEST + self.sizes[grams]
        sums = np.bincount(places, values, total * LONGEST).astype(np.float64)  # of no entries at all, NumPy counts
        return sums.reshape(total, LONGEST)


def count(texts: Sequence[str], longest: int = LONGEST) -> tuple[Ngrams, IntArray]:
    """A row for each text, of n-grams of up to `longest` words, and `[texts]` the words of each.

    Words are what white space separates.
    """
    split = [text.split() for text in texts]
    lengths = np.array([len(words) for words in split], dtype=np.int64)
    known: dict[str, int] = {}
    words = np.array([known.setdefault(word, len(known)) for text in split for word in text], dtype=np.int64)
    rows = np.repeat(np.arange(len(texts)), lengths)
    left = np.repeat(np.cumsum(lengths), lengths) - np.arange(len(words))  # words from each to its text's end
    grams, places, sizes = words, np.arange(len(words)), [np.zeros(len(known), np.int64)]
    found = [(rows, words)]
    for n in range(2, longest + 1):  # an n-gram is an (n-1)-gram and the word after it
        inside = left[places] >= n
        places = places[inside]
        pairs = grams[inside] * len(known) + words[places + n - 1]
        distinct, grams = np.unique(pairs, return_inverse=True)
        found.append((rows[places], grams + sum(map(len, sizes))))
        sizes.append(np.full(len(distinct), n - 1))
    row, gram = (np.concatenate(column) for column in zip(*found, strict=True))
    return _table(row, gram, np.ones_like(row), len(texts), np.concatenate(sizes), np.add), lengths


def shared(left: Ngrams, rows: IntArray, right: Ngrams) -> tuple[IntArray, IntArray, IntArray]:
    """N-grams that both texts of a pair have; pair p is row `rows[p]` of `left` and row p of `right`.

    Returns:
        `[shared]`: the pair, the entry of `left`, the entry of `right`.
    """
    lengths = np.diff(left.starts)[rows]
    pairs = np.repeat(np.arange(len(rows)), lengths)
    entries = np.arange(len(pairs)) + np.repeat(left.starts[rows] - np.cumsum(lengths) + lengths, lengths)
    wanted = pairs * len(left.sizes) + left.grams[entries]
    there = right.rows * len(right.sizes) + right.grams
    places = np.searchsorted(there, wanted)
    hit = np.append(there, -1)[places] == wanted
    return pairs[hit], entries[hit], places[hit]


def _table(rows: IntArray, grams: IntArray, counts: IntArray, total: int, sizes: IntArray, merge: np.ufunc) -> Ngrams:
    """Sorted by row and n-gram; counts of the same one are merged."""
    keys = rows * len(sizes) + grams
    order = np.argsort(keys, kind="stable")
    distinct, first = np.unique(keys[order], return_index=True)
    merged = merge.reduceat(counts[order], first) if len(first) else counts
    starts = np.searchsorted(distinct, np.arange(total + 1) * len(sizes))
    return Ngrams(starts, distinct % max(1, len(sizes)), merged, sizes)
