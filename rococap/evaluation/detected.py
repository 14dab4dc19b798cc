"""What is kept and scored of a detector beyond its texts: probabilities, and each concept by itself."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

import numpy as np

from rococap.evaluation.concept_table import concept_lines, write_concept_table
from rococap.metrics.concept_guards import below_others
from rococap.metrics.guards import Guard
from rococap.models.detector import Detector
from rococap.runs.folder import RunFolder
from rococap.runs.probabilities import Probabilities, file_of, read_probabilities, write_probabilities
from rococap.runs.results import OTHERS, Row
from rococap.types import Labels, Prediction, Said, Split, listed

log = logging.getLogger(__name__)

_SCORE = "concept_f1"
MEAN_AP = "concept_map"


def keep_probabilities(folder: RunFolder, split: Split, said: Mapping[str, Said], detector: Detector) -> None:
    """Write `predictions/<split>_probabilities.npz`, in the order of what was said; by id."""
    rows = [each.probabilities for each in said.values() if each.probabilities is not None]
    found = Probabilities(tuple(said), detector.labels.cuis, np.stack(rows), detector.thresholds.cpu().numpy())
    write_probabilities(folder.path / file_of(split), found)


def most_probable(texts: Mapping[str, str], probabilities: Probabilities, most: int) -> dict[str, str]:
    """Texts by id, with no more than so many concepts: the most probable ones, in their order."""
    numbers = {cui: number for number, cui in enumerate(probabilities.cuis)}
    rows = dict(zip(probabilities.ids, probabilities.values, strict=True))
    found = {}
    for name, text in texts.items():
        said = text.split(";")
        if len(said) > most:
            kept = set(sorted(said, key=lambda cui: -rows[name][numbers[cui]])[:most])
            log.warning("%s: %d concepts, of which the %d most probable are submitted", name, len(said), most)
            text = listed(cui for cui in said if cui in kept)
        found[name] = text
    return found


def concept_scores(
    folder: RunFolder, split: Split, predictions: Sequence[Prediction], labels: Labels, rows: Sequence[Row]
) -> tuple[list[Row], list[Guard]]:
    """Write the table of concepts; gives all rows of results with that of mean average precision, and a guard.

    Args:
        rows: of the split, those of other systems among them.
    """
    probabilities = read_probabilities(folder.path / file_of(split))
    lines = concept_lines(predictions, labels, probabilities)
    write_concept_table(folder.path, split, lines)
    own = next(row for row in rows if (row.system, row.slice, row.metric) == ("model", "all", _SCORE))
    found = [line.ap for line in lines if line.ap is not None]
    mean = float(np.mean(found)) if found else 0.0
    more = [Row(split, "model", "all", MEAN_AP, mean, None, None, own.n, own.signature)] if found else []
    last = max(place for place, row in enumerate(rows) if (row.system, row.slice) == ("model", "all"))
    others = {
        OTHERS[row.system]: row.value
        for row in rows
        if row.system in ("constant", "neighbours") and (row.slice, row.metric) == ("all", _SCORE)
    }
    guards = [below_others(own.value, others)] if others else []
    return [*rows[: last + 1], *more, *rows[last + 1 :]], guards
