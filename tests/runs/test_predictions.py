import json

import pytest

from rococap.runs.predictions import PredictionWriter, read_predictions
from rococap.types import Concept, Prediction, UserError

PREDICTIONS = [
    Prediction("a", "line\u2028one\nof \ud800 two", ("5 µm", ""), (Concept("C1", "x-ray", True),), "Doe, CC BY"),
    Prediction("b", ""),
]


def test_what_is_written_is_read(tmp_path):
    path = tmp_path / "new" / "test.jsonl"
    with PredictionWriter(path) as file:
        for prediction in PREDICTIONS:
            file.write(prediction)
            assert path.with_name("test.jsonl.tmp").read_bytes().endswith(b"\n") and not path.exists()
    assert read_predictions(path) == PREDICTIONS
    assert [len(json.loads(line)) for line in path.read_text().splitlines()] == [5, 3]


@pytest.mark.parametrize("error", [KeyboardInterrupt, UserError])
def test_older_predictions_stay_until_all_new_ones_are_there(tmp_path, error):
    path = tmp_path / "test.jsonl"
    with PredictionWriter(path) as file:
        file.write(PREDICTIONS[0])
    with pytest.raises(error), PredictionWriter(path) as file:
        file.write(PREDICTIONS[1])
        raise error
    assert read_predictions(path) == PREDICTIONS[:1] and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"id": "b", "prediction": "x"', "line 2: not JSON .*column 30"),
        ("[]", "line 2: not an object"),
        ('{"prediction": "x"}', "line 2: key 'id' is missing; there are prediction"),
        ('{"id": "b", "caption": "x"}', "line 2: key 'prediction' is missing"),
        ('{"id": 7, "prediction": "x"}', "line 2: id must be a text, not 7"),
        ('{"id": "b", "prediction": null}', "line 2: prediction must be a text, not null"),
        ('{"id": "b", "prediction": "x", "references": "x"}', "line 2: references must be a list"),
        ('{"id": "b", "prediction": "x", "concepts": [{"code": 1}]}', "line 2: concepts must be"),
        ('{"id": "b", "prediction": "x", "concepts": 3}', "line 2: concepts must be"),
        ('{"id": "b", "prediction": "x", "concepts": [{"cui": 7}]}', "line 2: cui and name of a concept must be texts"),
        ('{"id": "b", "prediction": NaN}', "line 2: prediction must be a text, not NaN"),
        ('{"id": "b", "prediction": "x", "references": [NaN]}', "line 2: references must be a list of texts, not .NaN"),
        ('{"id": "a", "prediction": "x"}', "line 2: id 'a' is already on line 1"),
    ],
)
def test_a_wrong_line_is_named(tmp_path, line, said):
    path = tmp_path / "test.jsonl"
    path.write_text('{"id": "a", "prediction": "x"}\n' + line + "\n")
    with pytest.raises(UserError, match=said) as error:
        read_predictions(path)
    assert str(path) in str(error.value)


def test_files_that_hold_no_text_are_refused(tmp_path):
    (tmp_path / "latin").write_bytes(b"\xe9")
    (tmp_path / "empty").write_text("\n")
    for name, said in (
        ("latin", "not UTF-8"),
        ("empty", "no predictions"),
        ("none", "No such file"),
        (".", "directory"),
    ):
        with pytest.raises(UserError, match=said):
            read_predictions(tmp_path / name)


def test_what_is_nested_too_deep_is_named(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"id": ' + "[" * 100_000)
    with pytest.raises(UserError, match="line 1: "):
        read_predictions(tmp_path / "a.jsonl")
