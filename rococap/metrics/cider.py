"""CIDEr (Vedantam et al. 2015), the CIDEr-D variant that pycocoevalcap computes under that name."""

from __future__ import annotations

import logging
from itertools import chain

import numpy as np

from rococap.metrics import ngrams
from rococap.metrics.base import FloatArray, IntArray, MeanMetric, with_counts
from rococap.metrics.ptb import PACKAGES, PTB, SCORERS
from rococap.metrics.text import Texts

log = logging.getLogger(__name__)

_SIGMA = 6.0


class Cider(MeanMetric):
    """Cosine of tf-idf vectors, clipped, with a penalty on length.

    Where no n-gram is rarer than another, as with a single image or with one reference for all, there is no CIDEr: the
    official code gives 0 for perfect captions then.
    """

    names = ("cider",)
    tokenizer = PTB
    packages = PACKAGES
    scorers = SCORERS
    best = 10.0
    partial = names

    def statistics(self, texts: Texts, orders: IntArray) -> FloatArray:
        """`[orders, samples, 2]`; document frequencies are those of all the references in `texts`.

        `CiderScorer.compute_cider` on all pairs at once: 10 x the mean over n of the clipped cosine, times a Gaussian
        of the difference in bigrams, and the mean of that over an image's references.
        """
        images, groups = len(texts), texts.groups
        counted, _ = ngrams.count([*texts.predictions, *chain.from_iterable(texts.references)])
        predictions, references = counted.part(0, images), counted.part(images, len(counted))
        weights = counted.counts * _idf(references.grouped(groups))[counted.grams]
        ours, theirs = np.split(weights, [predictions.starts[-1]])
        if not theirs.any():
            log.warning("cider is left out: no n-gram of the references is rarer than another (%d images)", images)
            return with_counts(np.full(orders.shape, np.nan))
        norms = np.sqrt(counted.by_size(counted.rows, counted.grams, weights**2, len(counted)))
        bigrams = counted.by_size(counted.rows, counted.grams, counted.counts, len(counted))[:, 1]
        result = np.empty(orders.shape)
        for order, row in zip(orders, result, strict=True):
            captions = order[groups]  # of the pairs (caption, reference)
            pair, left, right = ngrams.shared(predictions, captions, references)
            clipped = np.minimum(ours[left], theirs[right]) * theirs[right]
            products = counted.by_size(pair, predictions.grams[left], clipped, len(groups))
            lengths = norms[:images][captions] * norms[images:]
            cosines = np.divide(products, lengths, out=np.zeros_like(products), where=lengths > 0)
            penalty = np.exp(-((bigrams[:images][captions] - bigrams[images:]) ** 2) / (2 * _SIGMA**2))
            row[:] = np.bincount(groups, 10 * cosines.mean(axis=1) * penalty) / np.bincount(groups)
        return with_counts(result)

    def settings(self, samples: int) -> tuple[str, ...]:
        """The images whose references gave the document frequencies: CIDEr of a part is not that of the whole."""
        return (f"idf:{samples}",)


def _idf(documents: ngrams.Ngrams) -> FloatArray:
    """`[n-grams]`, from a row for each image; an n-gram that no reference has counts as if one had it."""
    frequency = np.bincount(documents.grams, minlength=len(documents.sizes))
    return np.asarray(np.log(len(documents)) - np.log(np.maximum(1.0, frequency)))
