"""Captions and concepts in files of other programs: COCO's results and annotations, tables of two columns."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rococap.data.delimited import read_cells
from rococap.data.ids import bare_id
from rococap.data.tables import COLUMNS, read_table
from rococap.metrics.concepts import gold_codes
from rococap.runs.predictions import read_predictions, read_text
from rococap.types import Concept, Prediction, UserError, codes

_CODE = re.compile(r"C\d+")
_SEVERAL = re.compile(r"C\d{7}[^A-Z0-9]+C\d{7}")


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


def load_concepts(path: Path, references: Path | None = None) -> list[Prediction]:
    """Predicted concepts from `.jsonl` (ours) or `.csv`/`.tsv` (ID, CUIs), as ImageCLEF's evaluator reads them.

    Args:
        references: a table ID,CUIs of all concepts, such as test_concepts.csv. That of the manual ones beside it
            (test_concepts_manual.csv) and names (cui_mapping.csv) are taken too, and its order. Or a `.jsonl`.

    Raises:
        UserError: files that cannot be read so, and ids that are missing, unknown or repeated.
    """
    if path.suffix == ".jsonl":
        predictions = read_predictions(path)
    else:
        predictions = [Prediction(name, text) for name, text in _once(path, _table(path, "CUIs")).items()]
    if references is None:
        return predictions
    truths = _concepts(references)
    made = {prediction.id: prediction for prediction in predictions}
    _require_same(path, made, references, truths, "concepts")
    return [Prediction(name, made[name].prediction, concepts=concepts) for name, concepts in truths.items()]


def require_captions(path: Path, predictions: Sequence[Prediction]) -> None:
    """Raise UserError where the predictions of a file are lists of concepts: as captions they would score 0."""
    said = [p.prediction for p in predictions if p.prediction.strip()]
    if said and all(_CODE.fullmatch(code) for text in said for code in codes(text) if code):
        raise UserError(f"{path} holds lists of concepts, and no captions.\nGive --metrics concepts.")


def require_concepts(path: Path, predictions: Sequence[Prediction]) -> None:
    """Raise UserError where lists of concepts are not parted by semicolons, or the predictions of a file are none."""
    form = "A list of concepts is C0040405;C0817096."
    said = set().union(*(codes(p.prediction) for p in predictions)) - {""}
    gold = set().union(*(gold_codes(p.concepts) for p in predictions)) - {""}
    if several := sorted(code for code in said | gold if _SEVERAL.search(code)):
        raise UserError(f"{path}, or what it is scored against, has {several[0]!r} for a concept.\n{form}")
    if said and gold and not said & gold:
        raise UserError(f"{path}: no image has any of its concepts, such as {min(said)!r:.40}.\n{form}")


def holds_concepts(path: Path) -> bool:
    """Whether a file is a table of concepts, and not of captions."""
    if path.suffix.lower() not in {".csv", ".tsv"}:
        return False
    header = {name.lower() for name in read_cells(path)[0]}
    return bool(header & set(COLUMNS["CUIs"])) and not header & set(COLUMNS["Caption"])


def _concepts(path: Path) -> dict[str, tuple[Concept, ...]]:
    if path.suffix == ".jsonl":
        return {prediction.id: prediction.concepts for prediction in read_predictions(path)}
    by_hand = path.with_name(f"{path.stem}_manual{path.suffix}")
    names = path.with_name("cui_mapping.csv")
    called = {cui: name for cui, name in read_table(names, "CUI", "Canonical name").rows} if names.is_file() else {}
    manual = _once(by_hand, _table(by_hand, "CUIs")) if by_hand.is_file() else {}
    found = {}
    for name, text in _once(path, _table(path, "CUIs")).items():
        # An empty field lists no concept, but one among others is one more to the evaluator.
        of_image, chosen = (_parts(each) for each in (text, manual.get(name, "")))
        found[name] = tuple(
            Concept(cui, called.get(cui, ""), cui in chosen, cui in of_image)
            for cui in dict.fromkeys([*of_image, *chosen])
        )
    return found


def _parts(text: str) -> list[str]:
    return [part.strip().upper() for part in text.split(";")] if text.strip() else []


def _table(path: Path, column: str) -> list[tuple[str, str]]:
    """Id and text of each line; an id may come more than once."""
    table = read_table(path, "ID", column)
    if table.bad_lines:
        raise UserError(
            f"{path}, {table.bad_lines[0]}: other fields than the header's. Quote captions that hold a comma."
        )
    return [(bare_id(name), text) for name, text in table.rows]


def _pairs(path: Path) -> list[tuple[str, str]]:
    """Id and caption of each entry; an id may come more than once."""
    match path.suffix.lower():
        case ".json":
            return _coco(path)
        case ".csv" | ".tsv":
            return _table(path, "Caption")
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
        raise UserError(f"{path} holds nothing.")
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
    _require_same(path, made, references, truths, "caption")
    return [
        Prediction(name, made[name].prediction, texts, made[name].concepts, made[name].attribution, made[name].group)
        for name, texts in truths.items()
    ]


def _require_same(path: Path, made: Collection[str], references: Path, truths: Collection[str], what: str) -> None:
    """Refuse ids of predictions that are not those of the references."""
    unknown = [name for name in made if name not in truths]
    missing = [name for name in truths if name not in made]
    if len(unknown) == len(made):
        raise UserError(f"None of the {len(made)} ids of {path} is in {references}: is it of another split?")
    for names, said in (
        (unknown, f"ids of {path} are not in {references}"),
        (missing, f"ids of {references} have no {what} in {path}"),
    ):
        if names:
            raise UserError(f"{len(names)} {said}, such as {', '.join(names[:3])}.")
