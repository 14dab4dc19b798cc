import json

import pytest
from commands import ROOT, command

from rococap.runs.results import read_results

SCRIPT = ROOT / "scripts/score.py"
LINES = [
    {"id": "1", "prediction": "chest x-ray of a man", "references": ["x-ray of the chest"]},
    {"id": "2", "prediction": "axial ct of the head", "references": ["ct of the head", "a head ct"]},
    {"id": "3", "prediction": "mri of the left knee", "references": ["mri of a knee"]},
]


def run(folder, *arguments):
    """The command as people type it, in a folder that is not the repository."""
    return command(SCRIPT, *arguments, cwd=folder, cache=folder / "cache", environment={"COLUMNS": "80"})


def test_seven_metrics_of_our_own_file(tmp_path):
    (tmp_path / "test.jsonl").write_text("".join(json.dumps(line) + "\n" for line in LINES))
    done = run(tmp_path, "test.jsonl", "--out", "new/folder")
    assert done.returncode == 0, done.stderr
    rows = read_results(tmp_path / "new/folder/evaluation_results.csv")
    names = ["bleu_1", "bleu_2", "bleu_3", "bleu_4", "meteor", "rouge_l", "cider"]
    assert sorted(row.metric for row in rows) == sorted(name + end for name in names for end in ("", "_blind", "_gain"))
    assert {row.split for row in rows} == {"test"}
    for row in rows:
        if row.metric in names:
            assert f"{row.value:.4f}" in done.stdout


def test_a_table_against_rocos_captions(tmp_path):
    (tmp_path / "made.csv").write_text(
        "ID,Caption\n" + "".join(f"{line['id']},{line['prediction']}\n" for line in LINES)
    )
    (tmp_path / "test_captions.csv").write_text("ID,Caption\n1,x-ray of the chest\n2,a head ct\n3,mri of a knee\n")
    options = ("--metrics", "bleu", "rouge_l", "--split", "test", "--no-blind")
    done = run(tmp_path, "made.csv", "--references", "test_captions.csv", "--out", ".", *options)
    assert done.returncode == 0, done.stderr
    rows = read_results(tmp_path / "evaluation_results.csv")
    assert [row.metric for row in rows] == ["bleu_1", "bleu_2", "bleu_3", "bleu_4", "rouge_l"]
    assert {row.split for row in rows} == {"test"}


@pytest.mark.parametrize(
    ("content", "options", "said"),
    [
        ('{"id": "1",', (), "p.jsonl, line 1: not JSON"),
        (
            '{"id": "1", "prediction": "x", "references": []}',
            (),
            "holds no references to score against: give --references FILE",
        ),
        (
            '{"id": "1", "prediction": "x", "references": ["y"]}\n{"id": "2", "prediction": "x"}',
            (),
            "have no reference: 2",
        ),
        ('{"id": "1", "prediction": NaN}', (), "line 1: prediction must be a text, not NaN"),
        (
            '{"id": "1", "prediction": "x"}',
            ("--references", "truth.csv"),
            "1 ids of truth.csv have no caption in p.jsonl",
        ),
        ('{"id": "1", "prediction": "x"}', ("--metrics", "imageclef", "--set", "bertscore.modl=y"), "bertscore.model?"),
        ('{"id": "1", "prediction": "x"}\n' * 2, (), "line 2: id '1' is already on line 1"),
        ('{"id": "9", "prediction": "x"}', ("--references", "truth.csv"), "another split"),
        ('{"id": "1", "prediction": "x"}', ("--references", "none.csv"), "none.csv cannot be read"),
        ('{"id": "1", "prediction": "x"}', ("--out", "truth.csv/new"), "cannot be written to"),
        ('{"id": "1", "prediction": "x"}', ("--metrics", "blue"), "invalid choice: 'blue'"),
    ],
)
def test_a_mistake_is_named_in_a_line_or_two(tmp_path, content, options, said):
    (tmp_path / "p.jsonl").write_text(content)
    (tmp_path / "truth.csv").write_text("ID,Caption\n1,chest\n2,head\n")
    done = run(tmp_path, "p.jsonl", "--out", "out", *options)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out/evaluation_results.csv").exists()


CONCEPTS = {
    "test_concepts.csv": "ID,CUIs\nx1,C0040405;C9\nx2,\nx3, c0817096 ;C7;C7\n",
    "test_concepts_manual.csv": "ID,CUIs\nx1,C0040405\nx2,\nx3,C0817096\n",
    "cui_mapping.csv": "CUI,Canonical name\nC0040405,CT\n",
    "made.csv": "ID,CUIs\nx1,c0040405\nx2,\nx3,C0817096; C0040405\n",
}


def test_a_table_of_concepts_against_rocov2s(tmp_path):
    for name, text in CONCEPTS.items():
        (tmp_path / name).write_text(text)
    options = ("--metrics", "concepts", "--references", "test_concepts.csv", "--out", ".", "--split", "test")
    done = run(tmp_path, "made.csv", *options)
    assert done.returncode == 0, done.stderr
    rows = {row.metric: row.value for row in read_results(tmp_path / "evaluation_results.csv") if row.slice == "all"}
    assert rows["concept_f1"] == pytest.approx((2 / 3 + 1 + 2 / 4) / 3)
    assert rows["concept_f1_manual"] == pytest.approx((1 + 2 / 3) / 2)
    table = (tmp_path / "scores" / "test_concepts.csv").read_text()
    assert "C0040405,CT,1,2,0.5,1.0," in table


@pytest.mark.parametrize(
    ("change", "options", "said"),
    [
        (("x2,\n", ""), (), "1 ids of test_concepts.csv have no concepts in made.csv, such as x2"),
        (("x2,", "x7,"), (), "1 ids of made.csv are not in test_concepts.csv, such as x7"),
        (("x2,\n", "x2\n"), (), "made.csv, line 3: other fields than the header's"),
        (("CUIs", "Caption"), (), "made.csv has no column"),
        (("C0817096; C0040405", '"C0817096,C0040405"'), (), "has 'C0817096,C0040405' for a concept"),
        ((), ("bleu",), "captions and concepts are not scored together"),
    ],
)
def test_a_mistake_in_a_table_of_concepts_is_named(tmp_path, change, options, said):
    for name, text in CONCEPTS.items():
        (tmp_path / name).write_text(text.replace(*change) if change and name == "made.csv" else text)
    given = ("--metrics", "concepts", *options, "--references", "test_concepts.csv", "--out", ".")
    done = run(tmp_path, "made.csv", *given)
    assert done.returncode == 2 and said in done.stderr and "Traceback" not in done.stderr
