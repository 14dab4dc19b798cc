import random
from itertools import chain

import numpy as np
from pycocoevalcap.bleu.bleu_scorer import cook_refs, cook_test, precook

from rococap.metrics import ngrams
from rococap.metrics.bleu import Bleu
from rococap.metrics.rouge_l import RougeL
from rococap.metrics.text import clean


def texts(draw, count):
    return [" ".join(draw.choices("abc", k=draw.randint(0, 9))) for _ in range(count)]


def test_counts_are_those_of_pycocoevalcap():
    draw = random.Random(0)
    lines = ["", *texts(draw, 30), ""]
    counted, lengths = ngrams.count(lines)
    for row, line in enumerate(lines):
        length, expected = precook(line)
        part = counted.part(row, row + 1)
        assert lengths[row] == length
        assert sorted(part.counts.tolist()) == sorted(expected.values())
        sizes = counted.by_size(part.rows, part.grams, part.counts, 1)[0]
        assert sizes.tolist() == [sum(c for gram, c in expected.items() if len(gram) == n) for n in range(1, 5)]


def test_no_words_at_all():
    counted, lengths = ngrams.count(["", ""])
    assert (len(counted), len(counted.grams), lengths.tolist()) == (2, 0, [0, 0])
    assert [len(found) for found in ngrams.shared(counted, np.array([1, 0]), counted)] == [0, 0, 0]


def test_statistics_of_any_order_are_those_of_pycocoevalcap():
    from pycocoevalcap.rouge.rouge import Rouge

    draw = random.Random(1)
    lines = clean(texts(draw, 40), [texts(draw, draw.randint(1, 4)) for _ in range(40)])
    orders = np.stack([np.arange(40), np.random.default_rng(0).permutation(40)])
    bleu, rouge = Bleu().statistics(lines, orders), RougeL().statistics(lines, orders)
    for o, i in np.ndindex(orders.shape):
        caption, references = lines.predictions[orders[o, i]], list(lines.references[i])
        counts = cook_test(caption, cook_refs(references), eff="closest")
        expected = [counts["testlen"], counts["reflen"], *chain(counts["guess"], counts["correct"])]
        assert bleu[o, i].tolist() == expected
        assert rouge[o, i, 0] == Rouge().calc_score([caption], references)
