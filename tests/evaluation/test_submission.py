import csv
import io
import zipfile

import pytest

from rococap.evaluation.submission import FILE, Form, in_order, official_ids, verify, write_submission
from rococap.types import UserError

IDS = ["clef_test_2", "clef_test_10", "clef_test_3"]
NASTY = ['Left lung, "mass"; 3,5 cm', "two\r\nlines\u2028and\x0bmore\x85end", " émigré 漢字 🩻 \u00a0"]


@pytest.fixture
def packed(tmp_path):
    def pack(content, name=FILE):
        with zipfile.ZipFile(tmp_path / "packed.zip", "w") as archive:
            archive.writestr(name, content)
        return tmp_path / "packed.zip"

    return pack


def test_what_is_written_is_what_the_site_asks_for(tmp_path):
    path = tmp_path / "new/submission.zip"
    write_submission(path, in_order(dict(zip(reversed(IDS), reversed(NASTY), strict=True)), IDS))
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == ["submission.csv"]
        text = archive.read("submission.csv").decode("utf-8")
    assert text.splitlines()[0] == "ID,Caption"
    assert len(text.splitlines()) == 4
    assert list(csv.reader(io.StringIO(text)))[1:] == [
        ["clef_test_2", 'Left lung, "mass"; 3,5 cm'],
        ["clef_test_10", "two  lines and more end"],
        ["clef_test_3", "émigré 漢字 🩻"],
    ]
    assert [file.name for file in path.parent.iterdir()] == ["submission.zip"]
    verify(path, IDS)


def test_ids_may_differ_in_extension_and_padding():
    captions = {"clef_test_000001": "one", "clef_test_000002": "two"}
    assert in_order(captions, ["clef_test_2.jpg", "clef_test_1.jpg"]) == {
        "clef_test_2.jpg": "two",
        "clef_test_1.jpg": "one",
    }


@pytest.mark.parametrize(
    ("captions", "said"),
    [
        ({"clef_test_2": "a", "clef_test_3": "b"}, "1 official ids have no caption, such as clef_test_10"),
        ({**dict.fromkeys(IDS, "a"), "clef_test_4": "b"}, "1 captioned ids are not official, such as clef_test_4"),
        ({"clef_valid_5": "a"}, "another split"),
    ],
)
def test_captions_of_other_images_are_refused(captions, said):
    with pytest.raises(UserError, match=said):
        in_order(captions, IDS)


RIGHT = "".join(f"{name},a\n" for name in IDS)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("\ufeffID,Caption\n" + RIGHT, "line 1: must be ID,Caption, with nothing before it"),
        ("id,caption\n" + RIGHT, "line 1: must be ID,Caption"),
        ("", "line 1: must be ID,Caption"),
        ("ID,Caption\n" + RIGHT + "\n", "line 5: is empty"),
        ("ID,Caption\n" + RIGHT.replace(",a", ",a, b", 1), "line 2: has 3 fields"),
        ("ID,Caption\n" + RIGHT.replace(",a", ', "a, b"', 1), "line 2: has 3 fields"),
        ("ID,Caption\n" + RIGHT.replace(",a", ",a ", 1), "line 2: has blanks around"),
        ("ID,Caption\n" + RIGHT.replace(",a", ',"a\u2028b"', 1), "a caption breaks its line: 4 rows lie on 5 lines"),
        ("ID,Caption\n" + RIGHT.replace(IDS[1], IDS[0]), "line 3: clef_test_2 is already on line 2"),
        ("ID,Caption\n" + RIGHT.replace(IDS[2], "x"), "line 4: x is no official id"),
        ("ID,Caption\n" + RIGHT.rsplit(IDS[2], 1)[0], "1 official ids are missing, such as clef_test_3"),
        (f"ID,Caption\n{IDS[1]},a\n{IDS[0]},a\n{IDS[2]},a\n", "line 2: the official order has clef_test_2 here"),
        (b"ID,Caption\n\xff", "not UTF-8"),
    ],
)
def test_what_the_site_refuses_is_refused(packed, content, said):
    with pytest.raises(UserError, match=said):
        verify(packed(content), IDS)


def test_a_zip_that_is_none_or_holds_other_files_is_refused(packed, tmp_path):
    with pytest.raises(UserError, match=r"must hold submission.csv and nothing else; it holds run.csv"):
        verify(packed("ID,Caption\n" + RIGHT, "run.csv"), IDS)
    (tmp_path / "plain.zip").write_text("ID,Caption\n")
    with pytest.raises(UserError, match="no zip"):
        verify(tmp_path / "plain.zip", IDS)


def test_official_ids(tmp_path):
    (tmp_path / "ids.csv").write_text("ID,Caption\nb.jpg,\na.jpg,\n")
    assert official_ids(tmp_path / "ids.csv") == ["b.jpg", "a.jpg"]
    for content, said in (("ID,Caption\nb,\nb,\n", "lists b twice"), ("ID,Caption\n", "lists no ids")):
        (tmp_path / "ids.csv").write_text(content)
        with pytest.raises(UserError, match=said):
            official_ids(tmp_path / "ids.csv")


SETS = {IDS[0]: "C0040405; c0817096;C0040405", IDS[1]: "", IDS[2]: "C1;C2;"}


def test_concepts_are_written_each_once_in_upper_case(tmp_path):
    path = tmp_path / "submission.zip"
    write_submission(path, in_order(SETS, IDS, Form.CONCEPTS), Form.CONCEPTS)
    with zipfile.ZipFile(path) as archive:
        text = archive.read("submission.csv").decode("utf-8")
    assert text == f"ID,CUIs\n{IDS[0]},C0040405;C0817096\n{IDS[1]},\n{IDS[2]},C1;C2\n"
    verify(path, IDS, Form.CONCEPTS)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (["C1", "C2;", "C3"], "line 3: '' is no concept"),
        (["C1", "chest", "C3"], "line 3: 'chest' is no concept"),
        (["C1", "c2", "C3"], "line 3: 'c2' is no concept"),
        (["C1;C2;C1", "", ""], "line 2: C1 stands there twice"),
        (["", ";".join(f"C{n}" for n in range(101)), ""], "line 3: has 101 concepts, and 100 are the most"),
        (["C1", " C2", ""], "line 3: has blanks around"),
        (["C1", "C2", '"C3,C4"'], "line 4: 'C3,C4' is no concept"),
    ],
)
def test_what_the_site_refuses_of_concepts_is_refused(packed, rows, said):
    content = "ID,CUIs\n" + "".join(f"{name},{row}\n" for name, row in zip(IDS, rows, strict=True))
    with pytest.raises(UserError, match=said):
        verify(packed(content), IDS, Form.CONCEPTS)


def test_captions_are_no_concepts(packed):
    with pytest.raises(UserError, match="line 1: must be ID,CUIs"):
        verify(packed("ID,Caption\n" + RIGHT), IDS, Form.CONCEPTS)
    assert Form.of(SETS.values()) is Form.CONCEPTS
    assert {Form.of(texts) for texts in (["C1", "a caption"], ["", ""], ["CT"])} == {Form.CAPTIONS}
