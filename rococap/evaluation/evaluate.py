"""A run's folder -> captions -> scores. Captions are written first; scores are computed from what was written."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from rococap.data.complete import noteworthy
from rococap.data.image import FileImage, UnreadableImage, read
from rococap.data.kept import keys
from rococap.data.pictures.dicom import USUAL, View
from rococap.evaluation.baselines import baseline_rows, copies
from rococap.evaluation.detected import concept_scores, keep_probabilities
from rococap.evaluation.leaks import copied_captions
from rococap.evaluation.leaks import warnings as leak_warnings
from rococap.evaluation.shared_captions import Parts, shared_captions
from rococap.evaluation.split_scores import corpus_scores, scorable, score_predictions
from rococap.evaluation.sufficient_statistics import keep
from rococap.evaluation.watching import watch
from rococap.metrics.base import Metric
from rococap.metrics.measure import ready
from rococap.models.base import Captioner, Model
from rococap.models.detector import Detector
from rococap.recipe.captioning import asking, encoding
from rococap.recipe.parts import best_captioner, build_data, prompting_of
from rococap.recipe.prompting import MOST
from rococap.recipe.recipe import Recipe
from rococap.runs.environment import code_digest
from rococap.runs.folder import RunFolder
from rococap.runs.locks import hold_run, is_helper
from rococap.runs.predictions import PredictionWriter, read_predictions
from rococap.runs.probabilities import file_of as probabilities_file
from rococap.runs.results import FILE, Row, per_sample_file, read_results, write_per_sample, write_results
from rococap.types import Example, Prediction, Scorer, Split, UserError

if TYPE_CHECKING:
    from rococap.data.datamodule import CaptionData

log = logging.getLogger(__name__)

# Draws the pages of a split that was captioned, by the captioner given, and gives the files by name.
Report = Callable[[RunFolder, Split, Sequence[Example], Model], Mapping[str, Path]]


def evaluate(
    run: Path, split: Split, report: Report | None = None, *, trusted: bool = False, root: str | None = None
) -> list[Row]:
    """Caption a split anew with a run's best checkpoint, by the run's own recipe, and score it.

    Args:
        report: draws its pages; handed in, since pages stand above this.
        trusted: see `RunFolder`.
        root: see `Recipe.of_run`.

    Raises:
        UserError: the folder is no run's, or not trusted, or has no checkpoint yet, or another process runs there.
    """
    folder = RunFolder(run, trusted)
    recipe = Recipe.of_run(folder, root)
    hold_run(run)  # both would write run.json
    captioner = best_captioner(folder, recipe)
    data = build_data(recipe, captioner)
    _warn_of_other_data(folder, data)
    caption_split(captioner, data, split, folder, recipe)
    rows = score_split(captioner, data, split, folder, recipe)
    if report is not None:
        report(folder, split, data.examples(split), captioner)
    return rows


def _warn_of_other_data(folder: RunFolder, data: CaptionData) -> None:
    was = folder.environment.get("data")
    if was is not None and was != data.fingerprint:
        log.warning(
            "%s was trained on other data than lies there now: its fingerprint was %.12s, is %.12s.\n"
            "It is captioned and scored as it is now; what was not to be seen in training may have been.",
            folder.path,
            was,
            data.fingerprint,
        )


def caption_images(
    run: Path, images: Sequence[Path], view: View = USUAL, *, trusted: bool = False
) -> Iterator[tuple[Path, str | UnreadableImage]]:
    """Each image file with its caption by the run's best checkpoint, or with what is wrong with it.

    Raises:
        UserError: the folder is no run's, or not trusted (see `RunFolder`), or has no checkpoint yet.
    """
    folder = RunFolder(run, trusted)
    recipe = Recipe.of_run(folder)
    return caption_files(best_captioner(folder, recipe), recipe, images, view)


def caption_files(
    captioner: Model, recipe: Recipe, images: Sequence[Path], view: View = USUAL
) -> Iterator[tuple[Path, str | UnreadableImage]]:
    """Each image file with its caption by a captioner, on the recipe's device, or with what is wrong with it."""
    encode, ask, prompting = encoding(captioner, recipe), asking(captioner, recipe), prompting_of(recipe)
    for image in images:
        try:
            opened = read(FileImage(image, view))
            pixels = torch.from_numpy(captioner.processor.pixels(opened))
        except UnreadableImage as error:
            yield image, error
        else:
            prompts: tuple[tuple[int, ...], ...] = ()
            if prompting is not None and isinstance(captioner, Captioner):
                prompts = (captioner.processor.prompt(prompting.of_image(opened), MOST),)
            yield image, ask(encode(pixels[None]), prompts)[0].text


def caption_split(captioner: Model, data: CaptionData, split: Split, folder: RunFolder, recipe: Recipe) -> None:
    """Write `predictions/<split>.jsonl`; the processes of a run share out the work, and the first one writes."""
    file, examples = folder.path / "predictions" / f"{split}.jsonl", data.examples(split)
    file.parent.mkdir(exist_ok=True)
    parts = Parts(file.with_suffix(""), _captions_key(captioner, data, folder, recipe))
    doing = "Captioning" if captioner.answers == "captions" else "Detecting concepts in"
    title = f"{doing} {split} ({len(examples):,} images)"
    said = shared_captions(captioner, data, split, recipe, parts, title)
    if is_helper():
        return
    note_missing(data, folder)
    folder.unseal(*_sealed(split))
    with PredictionWriter(file) as writer:
        for e in examples:
            writer.write(Prediction(e.id, said[e.id].text, e.captions, e.concepts, e.attribution, e.group))
    if isinstance(captioner, Detector):
        keep_probabilities(folder, split, said, captioner)
    folder.seal(*_sealed(split)[:2])
    parts.remove()


def note_missing(data: CaptionData, folder: RunFolder) -> None:
    """Keep in run.json what is missing of the splits that were prepared."""
    said = folder.state.get("missing_images", {})
    others = {split: texts for split, texts in said.items() if split not in data.missing}
    folder.note(missing_images=others | noteworthy(data.missing))


def _sealed(split: Split) -> tuple[str, ...]:
    """The files of a split that are compared and submitted from, its predictions first."""
    return f"predictions/{split}.jsonl", probabilities_file(split), FILE, per_sample_file(split)


def _captions_key(captioner: Model, data: CaptionData, folder: RunFolder, recipe: Recipe) -> str:
    with folder.best_checkpoint().open("rb") as file:
        weights = hashlib.file_digest(file, "sha256").hexdigest()
    names = ("seed", "model", "lora", "precision", "features", "decoding", "concepts")
    settings = {name: recipe.settings.get(name) for name in names}
    key = keys.Parts(data.fingerprint, weights, settings, recipe.arithmetic, recipe.device, code_digest())
    return key.digest()


def score_split(captioner: Model, data: CaptionData, split: Split, folder: RunFolder, recipe: Recipe) -> list[Row]:
    """Score what `caption_split` wrote, into evaluation_results.csv and scores/; gives no row without references."""
    metrics = recipe.metrics
    predictions = read_predictions(folder.path / "predictions" / f"{split}.jsonl")
    texts, captions, concepts = zip(*((p.prediction, p.references, p.concepts) for p in predictions), strict=True)
    guards = watch(captioner, folder, recipe)(texts, captions, concepts)
    folder.note(guards={**folder.state.get("guards", {}), split: [asdict(guard) for guard in guards]})
    if not metrics or not scorable(metrics, predictions):
        why = f"the split has no {captioner.answers}" if metrics else "metrics=[]"
        log.info("%s: %d predictions written, not scored (%s)", split, len(predictions), why)
        return []
    scored = score_predictions(metrics, predictions, split, made=captioner.made)
    rows = scored.rows() + scored.slice_rows()
    rows += baseline_rows(captioner, data, split, recipe) if recipe.baselines else []
    doubts = [*_unscored(metrics, rows, split), *_leaks(captioner, data, split, recipe, rows)]
    folder.note(doubts={**folder.state.get("doubts", {}), split: doubts})
    if isinstance(captioner, Detector):
        rows, compared = concept_scores(folder, split, predictions, captioner.labels, rows)
        folder.note(guards={**folder.state["guards"], split: [asdict(guard) for guard in [*guards, *compared]]})
    write_per_sample(folder.path, split, [p.id for p in predictions], scored.per_sample())
    keep(folder.path, split, {key: statistics[0] for key, statistics in scored.statistics.items()})
    file = folder.path / FILE
    others = [row for row in (read_results(file) if file.is_file() else []) if row.split != split]
    write_results(file, others + rows)
    folder.seal(*_sealed(split))
    return rows


def _unscored(metrics: Mapping[str, Metric], rows: Sequence[Row], split: Split) -> list[str]:
    """What is to be said of metrics that cannot be computed of these images, and so have no score."""
    there = {row.metric for row in rows}
    lost = [key for key, metric in metrics.items() if there.isdisjoint(metric.names)]
    return [f"{split}: {key} is left out: of these images it cannot be computed (train.log says why)" for key in lost]


def _leaks(captioner: Model, data: CaptionData, split: Split, recipe: Recipe, rows: Sequence[Row]) -> list[str]:
    """What is to be said of a split of which training saw a part."""
    if split in ("train", data.validates_on if data.overfit else ""):
        return []
    images = copies(captioner, data, split, recipe) if recipe.baselines else []
    said = data.examples(split)
    try:  # as it is listed: an image of it is not needed here, and may not be there
        train = data.source.examples("train")
    except UserError:
        train = []
    captions = copied_captions(
        (example.captions[0] for example in said if example.captions),
        (example.captions[0] for example in train if example.captions),
    )
    return leak_warnings(split, images, captions, len(said), rows)


def scorer(metrics: Mapping[str, Metric]) -> Scorer | None:
    """Metrics as one function of captions and their examples; None without metrics. Raises UserError as `ready`."""
    if not metrics:
        return None
    ready(metrics)
    return lambda captions, examples: corpus_scores(metrics, captions, examples, "valid")
