"""Scores of a system's captions: of a whole split, of its parts, of each image; all from one pass of the metrics."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from rococap.evaluation.slices import LEAST, slices, within
from rococap.metrics import blind
from rococap.metrics.base import FloatArray, IntArray, Metric, Unscored
from rococap.metrics.bootstrap import bootstrap, group_numbers, interval, jump, steady
from rococap.metrics.imageclef import COMPOSITES, composites
from rococap.metrics.measure import measure, score
from rococap.metrics.signature import signature
from rococap.runs.results import Row
from rococap.types import Example, Prediction, UserError

log = logging.getLogger(__name__)

_NOTHING = 1e-9
_Estimate = tuple[str, float, float | None, float | None]  # name, value, ends of the interval


@dataclass(frozen=True, slots=True)
class Scored:
    """What metrics made of the captions of a split: `statistics [orders, images, k]` by the metric's key.

    Attributes:
        made: how the texts were made, as fields of a signature.
    """

    split: str
    system: str
    predictions: Sequence[Prediction]
    metrics: Mapping[str, Metric]
    statistics: Mapping[str, FloatArray]
    made: Sequence[str] = ()

    def rows(self) -> list[Row]:
        """Scores of the whole split with intervals; where they were asked for, also the blind scores and the gains.

        A single image gets neither interval nor blind score, images of a single patient or article no interval, and
        no score does whose interval could not be believed (`rococap.metrics.bootstrap`).
        """
        rows = list(self._rows("all", np.arange(len(self.predictions)), self.statistics))
        return rows + list(_composite_rows(rows))

    def slice_rows(self) -> list[Row]:
        """Scores with intervals of the parts that have at least `LEAST` images, see `rococap.evaluation.slices`.

        They are of the same pass as the whole, so CIDEr's document frequencies are the whole split's, as the field
        `idf` of its signature says.
        """
        true = {key: statistics[:1] for key, statistics in self.statistics.items()}
        parts = {name: images for name, images in slices(self.predictions).items() if len(images) >= LEAST}
        return [row for name, images in parts.items() for row in self._rows(name, images, true)]

    def per_sample(self) -> dict[str, FloatArray]:
        """Each image's own scores, `[images]` by name."""
        each = [self.metrics[key].scores(statistics[0]).per_sample for key, statistics in self.statistics.items()]
        return {name: values for scores in each for name, values in scores.items()}

    def _rows(self, part: str, images: IntArray, measured: Mapping[str, FloatArray]) -> Iterator[Row]:
        for metrics in _by_part(self.metrics).values():
            of = within(self.predictions, next(iter(metrics.values())).part)
            mine = np.intersect1d(images, of)
            if part != "all" and mine.size < LEAST:
                continue
            chosen = [self.predictions[image] for image in mine]
            signed = signatures(metrics, chosen, self.split, len(of), self.made)
            for key, metric in metrics.items():
                left_out = metric.of_whole if part != "all" else ()
                groups = [p.group for p in chosen]
                for estimate in _estimates(metric, measured[key][:, mine], groups, left_out):
                    yield Row(self.split, self.system, part, *estimate, len(chosen), signed[key])


def _composite_rows(rows: Sequence[Row]) -> Iterator[Row]:
    """What ImageCLEF ranks by, as far as its parts are there: means of scores, without intervals."""
    found = {row.metric: row for row in rows}
    whole, lacking = composites(found)
    for name, parts in whole.items():
        for suffix in ("", "_blind", "_gain"):
            if all(part + suffix in found for part in parts):
                of = [found[part + suffix] for part in parts]
                mean = float(np.mean([row.value for row in of]))
                yield replace(of[0], metric=name + suffix, value=mean, ci_low=None, ci_high=None)
    for name, absent in lacking.items():
        of_all, lost = ", ".join(COMPOSITES[name]), ", ".join(absent)
        log.info("%s is not given: it is of %s, and there is no %s", name, of_all, lost)


def signatures(
    metrics: Mapping[str, Metric],
    predictions: Sequence[Prediction],
    split: str,
    scored: int | None = None,
    made: Sequence[str] = (),
) -> dict[str, str]:
    """How each metric's scores of some predictions are made, by its key; see `signature`."""
    ids = [prediction.id for prediction in predictions]
    truths = {key: [_truth(metric, prediction) for prediction in predictions] for key, metric in metrics.items()}
    groups = int(group_numbers([prediction.group for prediction in predictions]).max(initial=-1)) + 1
    count = groups if groups < len(ids) else None
    return {key: signature(metric, split, ids, truths[key], scored, count, made) for key, metric in metrics.items()}


def score_predictions(
    metrics: Mapping[str, Metric],
    predictions: Sequence[Prediction],
    split: str,
    system: str = "model",
    with_blind: bool = True,
    made: Sequence[str] = (),
) -> Scored:
    """Measure captions against their references. Blind scores of 10,000 captions take METEOR two minutes.

    Args:
        made: see `Scored`.

    Raises:
        UserError: ids that have no reference, or to which a metric gives no number; or none has a concept.
    """
    predictions = [_worded(prediction) for prediction in predictions]
    _require_truth(metrics, predictions, split)
    measured: dict[str, FloatArray] = {}
    for part, chosen in _by_part(metrics).items():
        images = _images_of(part, chosen, predictions, split)
        scored = [predictions[image] for image in images]
        orders = blind.orders(len(scored)) if with_blind else np.arange(len(scored))[None]
        texts, references, concepts = zip(*((p.prediction, p.references, p.concepts) for p in scored), strict=True)
        try:
            found = measure(chosen, texts, references, orders, concepts)
        except Unscored as error:
            raise _unscored(error, scored, split) from error
        for key, statistics in found.items():
            _require_numbers(key, chosen[key], statistics[0], scored, split)
            measured[key] = np.zeros((len(statistics), len(predictions), statistics.shape[-1]))
            measured[key][:, images] = statistics
    return Scored(split, system, predictions, metrics, {key: measured[key] for key in metrics}, made)


def corpus_scores(
    metrics: Mapping[str, Metric], captions: Sequence[str], examples: Sequence[Example], split: str
) -> dict[str, float]:
    """Scores of captions by name, and nothing else of them; raises UserError as `score_predictions`."""
    said = [Prediction(e.id, c, e.captions, e.concepts) for c, e in zip(captions, examples, strict=True)]
    values: dict[str, float] = {}
    for part, chosen in _by_part(metrics).items():
        scored = [said[image] for image in _images_of(part, chosen, said, split)]
        texts, references, concepts = zip(*((p.prediction, p.references, p.concepts) for p in scored), strict=True)
        try:
            values |= score(chosen, texts, references, concepts).corpus
        except Unscored as error:
            raise _unscored(error, scored, split) from error
    return values


def _by_part(metrics: Mapping[str, Metric]) -> dict[str, dict[str, Metric]]:
    """Metrics by the part of a split that they are for."""
    parts = dict.fromkeys(metric.part for metric in metrics.values())
    return {part: {key: metric for key, metric in metrics.items() if metric.part == part} for part in parts}


def _images_of(part: str, metrics: Iterable[str], predictions: Sequence[Prediction], split: str) -> IntArray:
    images = within(predictions, part)
    if not images.size:
        keys = list(metrics)
        raise UserError(
            f"metrics: {', '.join(keys)} score images of {part} alone, as their manual concepts say, and none of the "
            f"{len(predictions):,} of {split} is.\nWhere all of them are: metrics.{keys[0]}.part=all"
        )
    return images


def _unscored(error: Unscored, predictions: Sequence[Prediction], split: str) -> UserError:
    ids = [predictions[row].id for row in error.rows]
    return UserError(
        f"metrics: {error.metric} gives {len(ids):,} of {len(predictions):,} images of {split} no number: "
        f"{', '.join(ids[:3])}{' ...' if len(ids) > 3 else ''} ({error.why})."
    )


def _estimates(
    metric: Metric, statistics: FloatArray, groups: Sequence[str], left_out: Sequence[str]
) -> Iterator[_Estimate]:
    """Of score, and with several orders blind score and gain, from statistics `[orders, images, k]`."""
    values = blind.split(metric.combine(statistics.sum(axis=-2)))
    draws = blind.split(bootstrap(metric, statistics, groups=groups))
    several = group_numbers(groups).max() > 0
    moves, steadily = jump(metric, statistics[0]), set[str]()
    for suffix, scores in values.items():
        there = np.isfinite(scores)
        for column, name in enumerate(metric.names):
            if name in left_out or not (there[column] or name not in metric.partial):
                continue
            low, high = map(float, interval(draws[suffix][:, column]))
            told = several and steady(float(scores[column]), high, float(moves[column]))
            if suffix == "_gain" and high - low < _NOTHING:  # all captions are one: no image could change that
                told = name in steadily
            if told and not suffix:
                steadily.add(name)
            yield name + suffix, float(scores[column]), *((low, high) if told else (None, None))


def _truth(metric: Metric, prediction: Prediction) -> tuple[str, ...]:
    if metric.answers == "concepts":  # names are of no account
        marked = {f"{c.cui.strip().upper()}{'*' * c.manual}{'' if c.listed else '-'}" for c in prediction.concepts}
        return tuple(sorted(marked))
    if metric.truth == "concepts":
        return tuple(f"{concept.cui} {concept.name}" for concept in prediction.concepts)
    return prediction.references


def _require_numbers(
    key: str, metric: Metric, statistics: FloatArray, predictions: Sequence[Prediction], split: str
) -> None:
    columns = [column for column, name in enumerate(metric.names) if name not in metric.partial]
    there = np.isfinite(metric.combine(statistics)[:, columns])
    wrong = [p.id for p, numbers in zip(predictions, there, strict=True) if not numbers.all()]
    if wrong:
        raise UserError(
            f"metrics: {key} gives {len(wrong)} of {len(predictions)} predictions of {split} no number: "
            f"{', '.join(wrong[:3])} ..."
        )


def scorable(metrics: Mapping[str, Metric], predictions: Sequence[Prediction]) -> bool:
    """Whether any of the images has what these metrics compare texts with."""
    of_concepts = all(metric.truth == "concepts" for metric in metrics.values())
    return any(p.concepts if of_concepts else p.references for p in predictions)


def _worded(prediction: Prediction) -> Prediction:
    """Without references that are blank: they would match an empty caption."""
    references = tuple(text for text in prediction.references if text.strip())
    if len(references) < len(prediction.references) and references:
        log.warning("%s: a blank reference is left out", prediction.id)
    return replace(prediction, references=references)


def _require_truth(metrics: Mapping[str, Metric], predictions: Sequence[Prediction], split: str) -> None:
    if all(metric.truth == "concepts" for metric in metrics.values()):
        if not any(p.concepts for p in predictions):
            raise UserError(f"Nothing to score: none of the {len(predictions)} images of {split} has a concept.")
        return
    bare = [p.id for p in predictions if not any(text.strip() for text in p.references)]
    if len(bare) == len(predictions):
        raise UserError(f"Nothing to score: none of the {len(bare)} predictions of {split} has a reference.")
    if bare:
        raise UserError(
            f"{len(bare)} of {len(predictions)} predictions of {split} have no reference: {', '.join(bare[:3])} ..."
        )
