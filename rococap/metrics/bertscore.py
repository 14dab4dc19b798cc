"""BERTScore (Zhang et al. 2020) as bert_score 0.3.13 computes it, on any encoder in transformers' format.

Own code, since that package fails on empty captions under transformers 5, and needs one pass of the encoder for each
order of captions. Each pair is compared by itself, as ImageCLEF does; bert_score pads the pairs of a batch with zeros,
which count where all similarities are negative.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rococap.metrics.base import FloatArray, IntArray, MeanMetric, with_counts
from rococap.metrics.imageclef import EMPTIED, IMAGECLEF, without_text
from rococap.metrics.text import Texts

if TYPE_CHECKING:
    from torch import Tensor

    from rococap.metrics.encoder import TextEncoder


class BertScore(MeanMetric):
    """Recall and F1 of greedily matched tokens; of several references the best of each. Two empty texts score 1.

    Args:
        model: a directory, or a name on the Hugging Face hub that is in its cache.
        layer: the one whose output is compared: 40 for deberta-xlarge-mnli (bert_score's `model2layers`).
        edition: the year of ImageCLEF whose code tells what is empty, see `without_text`.
        idf: weighs tokens by how few of the references have them.
        download: gets the model from the hub where it is not there.
        batch_size: texts, or pairs of texts, at once.
    """

    names = ("bertscore_recall", "bertscore_f1")
    tokenizer = IMAGECLEF
    scorers = ("transformers",)

    def __init__(
        self, model: str, layer: int, idf: bool, download: bool = False, batch_size: int = 64, edition: int = 2026
    ) -> None:
        self.model, self.layer, self.idf, self.download, self.batch_size = model, layer, idf, download, batch_size
        self.edition = edition

    def check(self) -> None:
        """Raise UserError where the encoder is not here; download it where that was asked for."""
        from rococap.metrics.encoder import locate

        locate(self.model, self.download)

    def settings(self, samples: int) -> tuple[str, ...]:
        """The encoder, by name and by weights, its layer, and the images whose references gave the weights."""
        encoder = f"model:{Path(self.model).name}|weights:{self._encoder.checksum}|layer:{self.layer}"
        return (f"edition:{self.edition}", encoder, f"idf:{samples if self.idf else 'none'}")

    def statistics(self, texts: Texts, orders: IntArray) -> FloatArray:
        """`[orders, samples, 3]`: recall, F1, 1. Each different text is encoded once, for all orders."""
        references = list(chain.from_iterable(texts.references))
        rows = {text: row for row, text in enumerate(dict.fromkeys([*texts.predictions, *references]))}
        tokens = [self._encoder.tokens("" if text == EMPTIED else text) for text in rows]
        vectors = self._encoder.embed(tokens, self.batch_size)
        weights = self._weights(tokens, [tokens[rows[text]] for text in references])
        ours = np.array([rows[text] for text in texts.predictions])
        theirs = np.array([rows[text] for text in references])
        empty = np.array([not text.strip() or text == EMPTIED for text in rows])
        agreeing = np.array([without_text(text, self.edition) for text in rows])
        groups = texts.groups
        starts = np.searchsorted(groups, np.arange(len(texts)))
        result = np.empty((*orders.shape, 2))
        for order, row in zip(orders, result, strict=True):
            captions = ours[order][groups]  # of the pairs (caption, reference)
            scores = self._pairs(captions, theirs, vectors, weights)
            scores[empty[captions] | empty[theirs]] = 0
            scores[agreeing[captions] & agreeing[theirs]] = 1
            row[:] = np.maximum.reduceat(scores, starts)
        return with_counts(result[..., 0], result[..., 1])

    @cached_property
    def _encoder(self) -> TextEncoder:
        from rococap.metrics.encoder import TextEncoder, locate

        return TextEncoder(locate(self.model, self.download), self.layer)

    def _weights(self, tokens: Sequence[Sequence[int]], references: Sequence[Sequence[int]]) -> list[Tensor]:
        """`float32 [tokens]` of each text: inverse document frequency, or 1 for all but the special tokens."""
        import torch

        if self.idf:
            found = Counter(chain.from_iterable(set(ids) for ids in references))
            weight = {token: math.log((len(references) + 1) / (count + 1)) for token, count in found.items()}
            unseen = math.log(len(references) + 1)
        else:
            tokenizer = self._encoder.tokenizer
            weight, unseen = {tokenizer.cls_token_id: 0.0, tokenizer.sep_token_id: 0.0}, 1.0
        return [torch.tensor([weight.get(token, unseen) for token in ids]) for ids in tokens]

    def _pairs(
        self, captions: IntArray, references: IntArray, vectors: Sequence[Tensor], weights: Sequence[Tensor]
    ) -> FloatArray:
        """`[pairs, 2]`: recall and F1 of the texts `captions[p]` and `references[p]`."""
        lengths = np.array([len(ids) for ids in weights])
        result = np.empty((len(captions), 2))
        order = np.argsort(lengths[captions] + lengths[references], kind="stable")  # little padding
        for start in range(0, len(order), self.batch_size):
            pairs = order[start : start + self.batch_size]
            sides = [_padded(rows[pairs], vectors, weights) for rows in (captions, references)]
            result[pairs] = _greedy(*sides).cpu().numpy()
        return result


def _padded(rows: Iterable[int], vectors: Sequence[Tensor], weights: Sequence[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """Vectors `[texts, tokens, width]`, their weights `[texts, tokens]`, and which tokens are padding."""
    import torch
    from torch.nn.utils.rnn import pad_sequence

    rows = list(rows)
    padding = pad_sequence([torch.zeros(len(weights[row]), dtype=torch.bool) for row in rows], True, padding_value=True)
    return (
        pad_sequence([vectors[row] for row in rows], batch_first=True),
        pad_sequence([weights[row] for row in rows], batch_first=True),
        padding,
    )


def _greedy(caption: tuple[Tensor, Tensor, Tensor], reference: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    """`[texts, 2]`: `bert_score.utils.greedy_cos_idf`; a side whose tokens weigh nothing scores 0."""
    import torch

    (ours, our_weights, our_padding), (theirs, their_weights, their_padding) = caption, reference
    similarity = ours @ theirs.transpose(1, 2)
    nearest = similarity.masked_fill(their_padding[:, None, :], -1).amax(dim=2)
    precision = (nearest * our_weights).sum(dim=1) / our_weights.sum(dim=1)
    nearest = similarity.masked_fill(our_padding[:, :, None], -1).amax(dim=1)
    recall = (nearest * their_weights).sum(dim=1) / their_weights.sum(dim=1)
    f1 = 2 * precision * recall / (precision + recall)
    return torch.stack([recall, f1], dim=1).nan_to_num(0.0)
