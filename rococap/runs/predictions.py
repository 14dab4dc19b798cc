"""`predictions/<split>.jsonl`: one object a line, flushed as captions are made; scores are computed from this file."""

from __future__ import annotations

import json
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rococap.data.kept.files import whole_file
from rococap.types import Concept, Prediction, UserError


class PredictionWriter:
    """A new predictions file: `with PredictionWriter(path) as file: file.write(prediction)`.

    Until the block has ended well it is called `NAME.tmp`, and older predictions of that name stay.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._whole = whole_file(path)

    def write(self, prediction: Prediction) -> None:
        """Add a line and flush it."""
        concepts = [
            {"cui": c.cui, "name": c.name, "manual": c.manual, **({} if c.listed else {"listed": False})}
            for c in prediction.concepts
        ]
        record: dict[str, Any] = {
            "id": prediction.id,
            "prediction": prediction.prediction,
            "references": list(prediction.references),
            **({"concepts": concepts} if concepts else {}),
            **({"attribution": prediction.attribution} if prediction.attribution else {}),
            **({"group": prediction.group} if prediction.group else {}),
        }
        # ASCII: no character of a caption can end a line early in any reader.
        self._file.write(f"{json.dumps(record)}\n".encode("ascii"))
        self._file.flush()

    def __enter__(self) -> Self:
        self._file = self._whole.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._whole.__exit__(kind, error, trace)


def read_predictions(path: Path) -> list[Prediction]:
    """All lines in their order. Raises UserError naming file and line of what is no prediction or repeats an id."""
    predictions: list[Prediction] = []
    lines: dict[str, int] = {}
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            prediction = _parse(json.loads(line))
        except json.JSONDecodeError as error:
            raise UserError(f"{path}, line {number}: not JSON ({error.msg} at column {error.colno}).") from error
        except (ValueError, RecursionError) as error:
            raise UserError(f"{path}, line {number}: {error}.") from error
        if prediction.id in lines:
            raise UserError(f"{path}, line {number}: id {prediction.id!r} is already on line {lines[prediction.id]}.")
        lines[prediction.id] = number
        predictions.append(prediction)
    if not predictions:
        raise UserError(f"{path} holds no predictions.")
    return predictions


def read_text(path: Path) -> str:
    """A UTF-8 file, with or without a BOM; UserError where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 text ({error.reason} at byte {error.start}).") from error
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}).") from error


def _parse(record: Any) -> Prediction:
    if not isinstance(record, dict):
        raise ValueError("not an object with the keys id, prediction, references")
    references = record.get("references", [])
    if not isinstance(references, list) or not all(isinstance(text, str) for text in references):
        raise ValueError(f"references must be a list of texts, not {json.dumps(references):.60}")
    try:
        concepts = tuple(Concept(**concept) for concept in record.get("concepts", []))
    except TypeError as error:
        raise ValueError("concepts must be a list of objects with the keys cui, name, manual") from error
    if not all(isinstance(text, str) for concept in concepts for text in (concept.cui, concept.name)):
        raise ValueError("cui and name of a concept must be texts")
    return Prediction(
        id=_text(record, "id"),
        prediction=_text(record, "prediction"),
        references=tuple(references),
        concepts=concepts,
        attribution=_text({"attribution": "", **record}, "attribution"),
        group=_text({"group": "", **record}, "group"),
    )


def _text(record: dict[str, Any], key: str) -> str:
    if key not in record:
        raise ValueError(f"key {key!r} is missing; there are {', '.join(record) or 'none'}")
    value = record[key]
    if not isinstance(value, str):
        raise ValueError(f"{key} must be a text, not {json.dumps(value):.60}")
    return value
