"""Captions in files of other programs: COCO's results and annotations, tables of two columns."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rococap.data.ids import bare_id
from rococap.data.tables import read_table
from rococap.runs.predictions import read_predictions, read_text
from rococap.types import Prediction, UserError


def load(path: Path, references: Path | None = None) -> list[Prediction]:
    """Predictions from `.jsonl` (ours), `.json` (COCO results) or `.csv`/`.tsv` (ID, Caption).

    Where `references` is given (COCO annotations, a table, or a `.jsonl`), its captions and its order are taken.
    Raises UserError for files that cannot be read so, and for ids that are missing, unknown or repeated.
    """
    if path.suffix == ".jsonl":
        predictions = read_predictions(path)
    else:
        predictions = [Prediction(name, caption) for name, caption in _once(path, _pairs(path)).items()]
    return predictions if references is None else _join(path, predictions, references)


def _pairs(path: Path) -> list[tuple[str, str]]:
    """Id and caption of each entry; an id may come more than once."""
    match path.suffix.lower():
        case ".json":
            return _coco(path)
        case ".csv" | ".tsv":
            table = read_table(path, "ID", "Caption")
            if table.bad_lines:
                raise UserError(
                    f"{path}, {table.bad_lines[0]}: other fields than the header's. Quote captions that hold a comma."
                )
            return [(bare_id(name), caption) for name, caption in table.rows]
    raise UserError(f"{path}: of captions only .jsonl, .json (COCO) and .csv are read.")


def _coco(path: Path) -> list[tuple[str, str]]:
    try:
        content: Any = json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise UserError(f"{path}, line {error.lineno}: not JSON ({error.msg} at column {error.colno}).") from error
    entries = content.get("annotations") if isinstance(content, dict) else content
    if not isinstance(entries, list):
        raise UserError(f"{path} is neither a list of COCO results nor COCO annotations.")
    for number, entry in enumerate(entries, start=1):
        if not isinstance(entry, dict) or "image_id" not in entry or not isinstance(entry.get("caption"), str):
            raise UserError(f"{path}, entry {number}: needs an image_id and a caption; it is {json.dumps(entry):.80}")
    return [(str(entry["image_id"]), entry["caption"]) for entry in entries]


def _once(path: Path, pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    captions: dict[str, str] = {}
    for number, (name, caption) in enumerate(pairs, start=1):
        if name in captions:
            raise UserError(f"{path}, entry {number}: id {name!r} is repeated.")
        captions[name] = caption
    if not captions:
        raise UserError(f"{path} holds no predictions.")
    return captions


def _references(path: Path) -> dict[str, tuple[str, ...]]:
    if path.suffix == ".jsonl":
        return {prediction.id: prediction.references for prediction in read_predictions(path)}
    if path.suffix == ".json":  # where several captions of an image are several entries
        groups: dict[str, list[str]] = {}
        for name, caption in _coco(path):
            groups.setdefault(name, []).append(caption)
        return {name: tuple(captions) for name, captions in groups.items()}
    return {name: (caption,) for name, caption in _once(path, _pairs(path)).items()}


def _join(path: Path, predictions: Sequence[Prediction], references: Path) -> list[Prediction]:
    truths = _references(references)
    made: Mapping[str, Prediction] = {prediction.id: prediction for prediction in predictions}
    unknown = [name for name in made if name not in truths]
    missing = [name for name in truths if name not in made]
    if len(unknown) == len(made):
        raise UserError(f"None of the {len(made)} ids of {path} is in {references}: is it of another split?")
    for names, what in (
        (unknown, f"ids of {path} are not in {references}"),
        (missing, f"ids of {references} have no caption in {path}"),
    ):
        if names:
            raise UserError(f"{len(names)} {what}, such as {', '.join(names[:3])}.")
    return [
        Prediction(name, made[name].prediction, texts, made[name].concepts, made[name].attribution, made[name].group)
        for name, texts in truths.items()
    ]
