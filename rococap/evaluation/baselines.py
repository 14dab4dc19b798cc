"""What a score is held against: captions by systems that did not learn, or did not look.

base      the captioner before adaptation; none where its cross-attention is new, since then it knows nothing yet
common    the most frequent training caption, for every image
nearest   the caption of the training image whose features, averaged over positions, have the greatest cosine
prior     what the trained captioner says of the mean of all training features, for every image

Of a detector there are base and prior too, and

constant    the set of concepts with the best score on valid, for every image
neighbours  the concepts that enough of the nearest training images have, as many as are best on valid

All but the last are the same for every run of a sweep with the same data and base: they are computed once, and kept.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import mode

import numpy as np
import torch
from rich.progress import track
from torch import Tensor
from torch.nn import functional

from rococap.data.datamodule import CaptionData
from rococap.data.kept import keys
from rococap.data.kept.files import write_whole
from rococap.data.kept.folders import REMEDY, cache_folder, writing
from rococap.evaluation.concept_systems import above_best, best_constant, neighbour_votes
from rococap.evaluation.leaks import copied_images
from rococap.evaluation.shared_captions import Parts, shared_captions
from rococap.evaluation.split_scores import score_predictions, signatures
from rococap.metrics.base import Metric
from rococap.models.base import Model
from rococap.processes.group import group
from rococap.recipe.captioning import asking, encoding
from rococap.recipe.parts import build_captioner, prompting_of
from rococap.recipe.recipe import Recipe
from rococap.runs.predictions import PredictionWriter, read_predictions
from rococap.runs.results import Row, read_results, write_results
from rococap.types import Example, Prediction, Split

log = logging.getLogger(__name__)

MEAN = "mean_feature.npy"
COPIES = "copies.json"
_BATCH = 64


def baseline_rows(captioner: Model, data: CaptionData, split: Split, recipe: Recipe) -> list[Row]:
    """Scores of all other systems on a split, without blind scores; none where it has no captions.

    Args:
        captioner: the trained one, for the prior.
    """
    examples = data.examples(split)
    if not recipe.metrics or not any(map(data.answer, examples)):
        return []
    known = _Known(captioner, data, split, recipe)
    with writing(known.folder):  # a second run that needs the same waits for it here
        rows = known.rows()
        known.copies()  # by the features that were read for them
    if captioner.tower_trains:
        log.info("no prior: the vision tower trains, and each run would have to encode all images again")
        return rows
    mean = torch.from_numpy(np.load(known.folder / MEAN))
    said = asking(captioner, recipe)(mean[None])[0].text
    return rows + _score(recipe.metrics, _constant(examples, said), split, "prior")


def copies(captioner: Model, data: CaptionData, split: Split, recipe: Recipe) -> list[tuple[str, str]]:
    """Ids of training images, and of a split's that are the same; kept by `baseline_rows`."""
    known = _Known(captioner, data, split, recipe)
    with writing(known.folder):
        return known.copies()


def share_base(captioner: Model, data: CaptionData, split: Split, recipe: Recipe) -> None:
    """Caption a split before adaptation by all processes of the run, for `baseline_rows` to find it kept."""
    known = _Known(captioner, data, split, recipe)
    if not recipe.metrics or not known.has_base or not any(map(data.answer, data.examples(split))):
        return
    first = group().rank == 0
    with writing(known.folder) if first else nullcontext():
        if not group().gathered(first and known.file("base").is_file())[0]:
            captions = list(known.base_captions())
            if first:
                known.keep("base", captions)


@dataclass(frozen=True)
class _Known:
    """The systems that no run changes, for a captioner whose run they are held against."""

    captioner: Model
    data: CaptionData
    split: Split
    recipe: Recipe

    @cached_property
    def base(self) -> Model:
        """A captioner whose vision tower is as it was before adaptation; it may be the trained one."""
        return build_captioner(self.recipe) if self.captioner.tower_trains else self.captioner

    @cached_property
    def folder(self) -> Path:
        """Where they are kept."""
        of_concepts = ("concepts",) if self.recipe.detects or self.recipe.prompts else ()
        groups = ("model", "precision", "decoding", *of_concepts)
        model = {group: self.recipe.settings[group] for group in groups}
        if prompting := prompting_of(self.recipe):
            model["prompts"] = prompting.digest
        key = keys.Captions(
            dataset=self.data.fingerprint,
            chosen=self.recipe.chosen_examples,
            weights=self.base.tower_digest(),
            encoding=self.base.encoding,
            model=model,
            arithmetic=self.recipe.arithmetic,
            device=self.recipe.device,
        )
        return cache_folder("baselines", key.folder, self.split)

    @property
    def has_base(self) -> bool:
        """Whether there is a model before adaptation that knows anything, and is another than the captioner."""
        return self.captioner.trains and not self.captioner.new

    def file(self, name: str) -> Path:
        """Where a system's captions are kept."""
        return self.folder / f"{name}.jsonl"

    def keep(self, name: str, captions: Iterable[Prediction]) -> None:
        """Write a system's captions."""
        with PredictionWriter(self.file(name)) as file:
            for caption in captions:
                file.write(caption)

    def rows(self) -> list[Row]:
        """Their scores; for the holder of the folder's lock. Captions are kept whatever scores them."""
        systems, metrics = self._systems(), self.recipe.metrics
        key = keys.Scores({name: _joined(signatures(metrics, each, self.split)) for name, each in systems.items()})
        kept = self.folder / f"scores-{key.digest()}.csv"
        if not kept.is_file():
            scored = (_score(metrics, captions, self.split, name) for name, captions in systems.items())
            write_results(kept, [row for rows in scored for row in rows])
        return read_results(kept)

    def _systems(self) -> dict[str, list[Prediction]]:
        """What base, common and nearest say, and beside them the mean feature; what is kept is read."""
        makers = {"base": self.base_captions, "common": self._common, "nearest": self._nearest}
        if self.captioner.answers == "concepts":
            makers = {"base": self.base_captions, "constant": self._best_constant, "neighbours": self._neighbours}
        if not self.has_base:
            del makers["base"]
        for name, make in makers.items():
            if not self.file(name).is_file():
                self.keep(name, make())
        return {name: read_predictions(self.file(name)) for name in makers}

    def base_captions(self) -> Iterator[Prediction]:
        """Captions before adaptation; the processes of a run share out the work."""
        parts = Parts(self.folder / "base", self.folder.name)
        title = f"Captioning {self.split} before adaptation"
        base = build_captioner(self.recipe)
        said = shared_captions(base, self.data, self.split, self.recipe, parts, title)
        yield from _said(self.data.examples(self.split), [each.text for each in said.values()])
        parts.remove()

    def _common(self) -> Iterator[Prediction]:
        common = mode(self.data.answer(example) or "" for example in self.data.examples("train"))
        yield from _constant(self.data.examples(self.split), common)

    def _nearest(self) -> Iterator[Prediction]:
        train = self._trained()
        asked, _ = self._features(self.split)
        captions = [self.data.answer(example) or "" for example in self.data.examples("train")]
        nearest = torch.cat([(rows @ train.T).argmax(dim=1) for rows in torch.split(asked, 1024)])  # [images]
        yield from _said(self.data.examples(self.split), [captions[index] for index in nearest.tolist()])

    def _best_constant(self) -> Iterator[Prediction]:
        judged = self._judged(self.data.validates_on) or self._judged("train")
        yield from _constant(self.data.examples(self.split), best_constant(judged))

    def _neighbours(self) -> Iterator[Prediction]:
        labels, count = self.recipe.labels, self.recipe.concepts.neighbours
        trained, on = self._judged("train", any_at_all=True), self.data.validates_on
        train = self._trained()
        votes = {
            split: neighbour_votes(self._features(split)[0], train, trained, labels, count)
            for split in {on, self.split}
        }
        said = above_best(votes[self.split], votes[on], self._judged(on), labels)
        yield from _said(self.data.examples(self.split), said)

    def _judged(self, split: Split, *, any_at_all: bool = False) -> list[str]:
        """What is right for each image of a split; nothing where no image has a concept."""
        texts = [self.data.answer(example) or "" for example in self.data.examples(split)]
        return texts if any(texts) or any_at_all else []

    def _trained(self) -> Tensor:
        """Directions of the training images; their mean feature is kept too, since they are read once."""
        train, mean = self._features("train")
        write_whole(self.folder / MEAN, lambda file: np.save(file, mean.numpy()), REMEDY)
        return train

    def copies(self) -> list[tuple[str, str]]:
        """Ids of training images, and of the split's that are the same; for the holder of the folder's lock."""
        file = self.folder / COPIES
        if not file.is_file():
            train, asked = self.data.examples("train"), self.data.examples(self.split)
            directions = self._features("train")[0], self._features(self.split)[0]
            found = copied_images((asked, self.split, directions[1]), (train, directions[0]), self.data.fingerprint)
            write_whole(file, json.dumps(found), REMEDY)
        return [(seen, here) for seen, here in json.loads(file.read_bytes())]

    @cached_property
    def _read(self) -> dict[Split, tuple[Tensor, Tensor]]:
        return {}

    def _features(self, split: Split) -> tuple[Tensor, Tensor]:
        """Directions of a split's features, each averaged over positions, [images, width]; and their mean.

        On the CPU, in the order of the examples; the mean is [positions, width]. Read once.
        """
        if split not in self._read:
            self._read[split] = self._features_read(split)
        return self._read[split]

    def _features_read(self, split: Split) -> tuple[Tensor, Tensor]:
        encode, loader = encoding(self.base, self.recipe), self.data.loader(split, _BATCH)
        directions, total = [], torch.zeros((), dtype=torch.float64)
        for batch in track(loader, description=f"Reading the features of {split}", total=len(loader)):
            features = (encode(batch.pixel_values) if batch.features is None else batch.features).float()
            directions.append(functional.normalize(features.mean(dim=1), dim=-1).cpu())
            total = total + features.double().sum(dim=0).cpu()
        found = torch.cat(directions)
        return found, (total / len(found)).float()


def _joined(signed: Mapping[str, str]) -> str:
    return "\n".join(f"{metric} {signature}" for metric, signature in signed.items())


def _constant(examples: Sequence[Example], caption: str) -> list[Prediction]:
    return list(_said(examples, [caption] * len(examples)))


def _said(examples: Sequence[Example], captions: Sequence[str]) -> Iterator[Prediction]:
    for e, caption in zip(examples, captions, strict=True):
        yield Prediction(e.id, caption, e.captions, e.concepts, e.attribution, e.group)


def _score(metrics: Mapping[str, Metric], captions: Sequence[Prediction], split: Split, system: str) -> list[Row]:
    return score_predictions(metrics, captions, split, system, with_blind=False).rows()
