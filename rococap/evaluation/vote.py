"""Several runs as one: concepts by union, intersection or mean probability, captions by consensus."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np

from rococap.metrics.base import FloatArray
from rococap.metrics.cider import Cider
from rococap.metrics.concepts import gold_codes
from rococap.metrics.measure import measure
from rococap.models.thresholds import choose
from rococap.runs.folder import RunFolder
from rococap.runs.predictions import read_predictions
from rococap.runs.probabilities import Probabilities, file_of, read_probabilities
from rococap.types import Concept, Labels, Prediction, Split, UserError, listed

How = Literal["union", "intersection", "mean", "consensus"]
WAYS: dict[str, tuple[How, ...]] = {"concepts": ("union", "intersection", "mean"), "captions": ("consensus",)}
_LEAST = 3  # runs of whose captions one can be closest to the others


def vote(runs: Sequence[Path], split: Split, how: How | None) -> tuple[list[Prediction], tuple[str, ...]]:
    """What several runs say together, and how it was made, as fields of a signature.

    Args:
        how: None: mean of concepts, consensus of captions.

    Raises:
        UserError: the runs are of different kinds, or have not predicted the same images, or do not go with `how`; or
            what is right for an image differs between them.
    """
    if len({run.resolve() for run in runs}) < max(2, len(runs)):
        raise UserError("A vote needs two runs at least, each of them once.")
    folders = [RunFolder(run) for run in runs]
    kinds = {run: "concepts" if (run / file_of(split)).is_file() else "captions" for run in runs}
    said = [_predictions(folder, split) for folder in folders]
    if len(set(kinds.values())) > 1:
        raise UserError(f"Some of these runs give concepts, others captions: {_listed(kinds)}.\nVote with one kind.")
    kind = next(iter(kinds.values()))
    if how is not None and how not in WAYS[kind]:
        raise UserError(f"--how {how}: these runs give {kind}, which are joined by {' or '.join(WAYS[kind])}.")
    first = said[0]
    _require_one_truth(folders, said, split)
    texts = [{name: each[name].prediction for name in first} for each in said]
    made: tuple[str, ...] = (f"vote:{how or WAYS[kind][-1]} of {len(runs)}",)
    match how or WAYS[kind][-1]:
        case "mean":
            joined, threshold = _mean(folders, split)
            made = (*made, f"threshold:global {threshold:.4f}")
        case "consensus":
            joined = consensus(texts)
        case "union" | "intersection" as sets:
            joined = join_sets(texts, everywhere=sets == "intersection")
    return [replace(first[name], prediction=joined[name]) for name in first], made


def join_sets(texts: Sequence[Mapping[str, str]], *, everywhere: bool) -> dict[str, str]:
    """By id, the concepts that any of the runs predict, or all of them do, in the order of the first that does."""
    joined = {}
    for name in texts[0]:
        sets = [[code for code in each[name].split(";") if code] for each in texts]
        kept = dict.fromkeys(code for codes in sets for code in codes)
        joined[name] = listed(code for code in kept if not everywhere or all(code in codes for codes in sets))
    return joined


def mean_probabilities(found: Sequence[Probabilities]) -> Probabilities:
    """The mean over the runs that know a label, of all labels; images in the order of the first run."""
    ids, cuis = found[0].ids, tuple(dict.fromkeys(cui for each in found for cui in each.cuis))
    total, runs = np.zeros((len(ids), len(cuis)), np.float64), np.zeros(len(cuis))
    numbers = {cui: number for number, cui in enumerate(cuis)}
    for each in found:
        rows = {name: row for row, name in enumerate(each.ids)}
        columns = [numbers[cui] for cui in each.cuis]
        total[:, columns] += each.values[[rows[name] for name in ids]]
        runs[columns] += 1
    return Probabilities(ids, cuis, (total / runs).astype(np.float32), np.zeros(len(cuis), np.float32))


def consensus(texts: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """By id, the caption with the greatest CIDEr against those of the other runs; of equal ones the first run's.

    Raises:
        UserError: there are fewer than three runs: of two captions neither is closer to the other.
    """
    if len(texts) < _LEAST:
        raise UserError(f"A consensus needs {_LEAST} runs at least: of two captions neither is closer to the other.")
    names, order = list(texts[0]), np.arange(len(texts[0]))[None]
    closeness: list[FloatArray] = []
    for number, own in enumerate(texts):
        others = [[each[name] for place, each in enumerate(texts) if place != number] for name in names]
        found = measure({"cider": Cider()}, [own[name] for name in names], others, order)["cider"][0]
        closeness.append(found[:, 0])
    best = np.stack(closeness).argmax(axis=0)
    return {name: texts[place][name] for name, place in zip(names, best.tolist(), strict=True)}


def _mean(folders: Sequence[RunFolder], split: Split) -> tuple[dict[str, str], float]:
    """Texts by id, and the threshold, which is chosen on valid for the mean."""
    valid = [_predictions(folder, "valid") for folder in folders]
    _require_one_truth(folders, valid, "valid")
    known = valid[0]
    asked, judged = (mean_probabilities([_probabilities(f, each) for f in folders]) for each in (split, "valid"))
    gold = [listed(gold_codes(known[name].concepts)) for name in judged.ids]
    if asked.cuis != judged.cuis:
        raise UserError(f"{folders[0].path}: its probabilities of valid and of {split} are of different labels.")
    labels = Labels(tuple(map(Concept, judged.cuis)), (0,) * len(judged.cuis), 0)
    threshold = float(choose(judged.values, gold, labels, per_class=False)[0])
    rows = zip(asked.ids, asked.values >= threshold, strict=True)
    return {name: listed(asked.cuis[number] for number in np.flatnonzero(row)) for name, row in rows}, threshold


def _probabilities(folder: RunFolder, split: str) -> Probabilities:
    file = file_of(split)
    if not (folder.path / file).is_file():
        raise UserError(_make(folder, split, folder.path / file))
    folder.verify(file)
    return read_probabilities(folder.path / file)


def _predictions(folder: RunFolder, split: str) -> dict[str, Prediction]:
    name = f"predictions/{split}.jsonl"
    if not folder.begun:
        raise UserError(f"{folder.path} is no run's folder (it has no config.yaml).")
    if not (folder.path / name).is_file():
        raise UserError(_make(folder, split, folder.path / name))
    folder.verify(name)
    return {prediction.id: prediction for prediction in read_predictions(folder.path / name)}


def _require_one_truth(folders: Sequence[RunFolder], said: Sequence[Mapping[str, Prediction]], split: Split) -> None:
    """Raise UserError unless all have the same images, and the same is right for these."""
    first, *others = said
    for folder, other in zip(folders[1:], others, strict=True):
        if other.keys() != first.keys():
            raise UserError(
                f"{folder.path} has other images of {split} than {folders[0].path}.\nVote with runs of one dataset, "
                "and of as many images (data.val_images)."
            )
        for name, prediction in first.items():
            if (prediction.references, prediction.concepts) != (other[name].references, other[name].concepts):
                raise UserError(
                    f"{folder.path} has other captions or concepts of {name} than {folders[0].path}.\nVote with runs "
                    "of one dataset, and of one concepts.kind."
                )


def _make(folder: RunFolder, split: str, file: Path) -> str:
    return f"{file} is not there.\nMake it: python scripts/evaluate.py --run {folder.path} --split {split}"


def _listed(kinds: Mapping[Path, str]) -> str:
    return ", ".join(f"{run} {kind}" for run, kind in kinds.items())
