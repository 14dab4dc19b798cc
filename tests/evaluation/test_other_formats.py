import json
from pathlib import Path

import pytest

from rococap.evaluation.other_formats import load, require_captions, require_concepts
from rococap.types import Concept, Prediction, UserError

TABLE = "ID,Caption\r\n{}\r\n"


@pytest.fixture
def file(tmp_path):
    def write(name, content):
        path = tmp_path / name
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    return write


def test_coco_results_against_annotations_with_several_captions(file):
    results = file("results.json", [{"image_id": 9, "caption": "nine"}, {"image_id": 3, "caption": "three"}])
    notes = [{"image_id": i, "id": k, "caption": text} for k, (i, text) in enumerate([(3, "x"), (9, "y"), (3, "z")])]
    annotations = file("annotations.json", {"images": [{"id": 3}, {"id": 9}], "annotations": notes})
    assert load(results, annotations) == [Prediction("3", "three", ("x", "z")), Prediction("9", "nine", ("y",))]


def test_tables_of_two_columns(file):
    made = file("submission.csv", TABLE.format('R2.jpg,"two, and more"\r\nR1.jpg,one'))
    truth = file("test_captions.csv", "\ufeff" + TABLE.format("R1, first \r\nR2,second"))
    assert load(made, truth) == [Prediction("R1", "one", ("first",)), Prediction("R2", "two, and more", ("second",))]


def test_references_given_beside_our_own_file_replace_its_own(file):
    made = file("test.jsonl", '{"id": "R1", "prediction": "one", "references": ["old"], "attribution": "Doe"}\n')
    assert load(made, file("new.csv", TABLE.format("R1,new")))[0] == Prediction("R1", "one", ("new",), (), "Doe")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("p.csv", TABLE.format("R1,one"), "1 ids of .*truth.csv have no caption in .*p.csv, such as R2"),
        ("p.csv", TABLE.format("R1,one\r\nR2,two\r\nR3,three"), "1 ids of .*p.csv are not in .*truth.csv, such as R3"),
        ("p.csv", TABLE.format("V1,one\r\nV2,two"), "None of the 2 ids .* another split"),
        ("p.csv", TABLE.format("R1,one\r\nR1.jpg,two"), "entry 2: id 'R1' is repeated"),
        ("p.csv", TABLE.format("R1,one, two\r\nR2,x"), "line 2: .*[Qq]uote"),
        ("p.csv", "ID,Caption\r\n", "p.csv holds nothing"),
        ("p.csv", "ID,Text\r\nR1,one", "no column 'Caption'"),
        ("p.json", '[{"image_id": 1,\n', "line 2: not JSON"),
        ("p.json", [{"image_id": 1}], "entry 1: needs an image_id and a caption"),
        ("p.json", {"info": 1}, "neither a list of COCO results"),
        ("p.txt", "R1 one", "only .jsonl, .json"),
    ],
)
def test_bad_input_says_what_and_where(file, name, content, said):
    truth = file("truth.csv", TABLE.format("R1,first\r\nR2,second"))
    with pytest.raises(UserError, match=said):
        load(file(name, content), truth)


def test_concepts_are_not_scored_as_captions_nor_captions_as_concepts():
    known = (Concept("c0040405"), Concept("C9"))
    lists = [Prediction("a", "C0040405; C9", ("a scan",), known), Prediction("b", "", ("an image",), ())]
    texts = [Prediction("a", "C6 fracture", ("a scan",), known), Prediction("b", "C9 on C1; two", ("an image",), ())]
    require_captions(Path("p.jsonl"), texts)
    require_concepts(Path("p.jsonl"), lists)
    with pytest.raises(UserError, match=r"p.jsonl holds lists of concepts, and no captions.\nGive --metrics concepts"):
        require_captions(Path("p.jsonl"), lists)
    with pytest.raises(UserError, match=r"p.jsonl: no image has any of its concepts, such as 'C6 FRACTURE'"):
        require_concepts(Path("p.jsonl"), texts)


@pytest.mark.parametrize("between", [",", ", ", "|", " ", "','"])
def test_lists_that_are_parted_otherwise_are_refused(between):
    one = f"C0040405{between}C0817096"
    for text, known in ((one, "C0040405"), ("C0040405", one)):
        with pytest.raises(UserError, match="for a concept"):
            require_concepts(Path("p.csv"), [Prediction("a", text, (), (Concept(known),))])
