"""The labels of a detector: counted in the whole training split, and kept in the run's folder, with their names."""

from __future__ import annotations

import csv
import logging
from collections import Counter
from pathlib import Path

from rococap.runs.cells import content
from rococap.runs.results import write_table
from rococap.types import Concept, Labels, Source, UserError, concepts_of

log = logging.getLogger(__name__)

FILE = "concepts.csv"
_COLUMNS = ("cui", "name", "manual", "images", "of")


def labels_of(source: Source, min_count: int) -> Labels:
    """The concepts of the training split, the most frequent first.

    Args:
        min_count: images that have a concept which is a label.

    Raises:
        UserError: no image has a concept, or none that is frequent enough.
    """
    examples = source.examples("train")
    known: dict[str, Concept] = {}
    counts: Counter[str] = Counter()
    for example in examples:
        of_image = {concept.cui.strip().upper(): concept for concept in example.concepts if concept.listed}
        counts.update(of_image.keys())
        for cui, concept in of_image.items():
            before = known.get(cui, Concept(cui))
            known[cui] = Concept(cui, before.name or concept.name, before.manual or concept.manual)
    if not counts:
        raise UserError(
            f"None of the {len(examples):,} training images has a concept: there is nothing to detect.\n"
            "Give data that has them (ROCOv2's train_concepts.csv; of your own table data.columns.concepts=NAME)."
        )
    chosen = sorted((cui for cui in counts if counts[cui] >= min_count), key=lambda cui: (-counts[cui], cui))
    if not chosen:
        raise UserError(
            f"concepts.min_count={min_count}: the most frequent of {len(counts):,} concepts stands at "
            f"{max(counts.values()):,} training images.\nTake at most that."
        )
    if nameless := [cui for cui in chosen if not known[cui].name]:
        log.warning(
            "%s of %s concepts have no name in the data (first: %s); they are called by their codes",
            f"{len(nameless):,}",
            f"{len(chosen):,}",
            ", ".join(nameless[:3]),
        )
    return Labels(tuple(known[cui] for cui in chosen), tuple(counts[cui] for cui in chosen), len(examples))


def require_judged(source: Source, threshold: str | float) -> None:
    """Raise UserError where a threshold is to be chosen on valid, and none of its images has a concept."""
    if isinstance(threshold, str) and not any(concepts_of(example) for example in source.examples("valid")):
        raise UserError(
            f"concepts.threshold={threshold} is chosen on valid, and none of its images has a concept.\n"
            "Take a number: concepts.threshold=0.5"
        )


def write_labels(file: Path, labels: Labels) -> None:
    """A line a label: code, name, whether a person assigns it, and how many training images of how many have it."""
    pairs = zip(labels.concepts, labels.counts, strict=True)
    write_table(file, _COLUMNS, ((c.cui, c.name, int(c.manual), count, labels.images) for c, count in pairs))


def read_labels(file: Path) -> Labels:
    """What `write_labels` wrote; raises UserError where the file is something else."""
    try:
        with file.open(encoding="utf-8", newline="") as stream:
            rows = [{key: content(value) for key, value in row.items()} for row in csv.DictReader(stream)]
        concepts = tuple(Concept(row["cui"], row["name"], row["manual"] == "1") for row in rows)
        return Labels(concepts, tuple(int(row["images"]) for row in rows), int(rows[0]["of"]))
    except (OSError, KeyError, TypeError, ValueError, AttributeError, IndexError, csv.Error) as error:
        raise UserError(f"{file} holds no labels ({error!r}).\nTake the run's own.") from error
