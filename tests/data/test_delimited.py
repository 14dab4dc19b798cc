"""Tables whose quotation marks, delimiters and encodings are not what a CSV reader trusts them to be."""

import logging

import pytest

from rococap.data.delimited import read_cells
from rococap.data.records import read_records
from rococap.data.text_files import read_text
from rococap.types import UserError

HEADER = "ID,Caption\n"
IDS = [f"ROCOv2_2023_train_{number:06}" for number in range(8)]


def table(folder, text, name="table.csv", encoding="utf-8"):
    (folder / name).write_bytes(text.encode(encoding))
    return folder / name


def lines(captions, delimiter=",", header=HEADER):
    return header.replace(",", delimiter) + "".join(
        f"{name}{delimiter}{text}\n" for name, text in zip(IDS, captions, strict=False)
    )


OPEN = {
    "to the end of the file": ["plain", '"not closed', "plain", "plain"],
    "to the next quotation mark": ["plain", '"not closed', "plain", '"with, comma"', "plain"],
    "to a mark at the end of a later row": ["plain", '"not closed', 'ends with an "inch"', "plain"],
    "over quoted rows": ["plain", '"not closed', '"with, comma"', '"and, another"'],
    "with an even number of marks": ["plain", '"not closed', 'a "b", c', 'plain "d"', "plain"],
    "to a row's very end": ["plain", '"not closed', 'plain"', "plain", "with, comma"],
}


@pytest.mark.parametrize("captions", OPEN.values(), ids=OPEN)
@pytest.mark.parametrize("more", [(), ['"a caption, as it should be"']], ids=["", "with rightly quoted ones"])
def test_a_mark_that_is_not_closed_swallows_no_row(captions, more, tmp_path):
    text = lines([*captions, *more])
    file = table(tmp_path, text)
    try:
        _, cells = read_cells(file)
    except UserError as error:
        assert f"{file}, line 3: a quotation mark" in str(error) and "\nClose the field there" in str(error)
    else:  # no field holds a comma: each line can only be a row
        assert cells.rows == list(zip(IDS, captions, strict=False)) and not more


def test_marks_that_are_no_quoting_stay(tmp_path, caplog):
    captions = ['"Ground glass" opacities in "both"', 'plain, with "one" word', '"Normal"', "plain"]
    with caplog.at_level(logging.INFO):
        _, cells = read_cells(table(tmp_path, lines(captions, "\t"), "table.tsv"))
    assert [caption for _, caption in cells.rows] == captions and "line 2" in caplog.text
    with pytest.raises(UserError, match="line 2: a quotation mark"):  # as CSV it can be read in several ways
        read_cells(table(tmp_path, lines(captions)))


@pytest.mark.parametrize("delimiter", ["\t", ",", ";"])
def test_a_quoted_table_with_one_wrong_field_is_refused(delimiter, tmp_path):
    captions = ['"All are quoted"', '"as this is"', '"not closed', '"or so"', '"and so"']
    with pytest.raises(UserError, match="line 4: a quotation mark"):
        read_cells(table(tmp_path, lines(captions, delimiter)))


@pytest.mark.parametrize("delimiter", ["\t", ",", ";", "|"])
def test_what_csv_allows_is_read(delimiter, tmp_path):
    written = ['"Line one\nline, two\tof; it | so"', '"say ""inch"""', "plain", '5 " long', '""', '"a\n\nb"']
    read = ["Line one\nline, two\tof; it | so", 'say "inch"', "plain", '5 " long', "", "a\n\nb"]
    _, cells = read_cells(table(tmp_path, lines(written, delimiter)))
    assert cells.rows == list(zip(IDS, read, strict=False)) and not cells.bad_lines


def test_lines_of_a_caption_that_hold_the_delimiter_are_no_rows(tmp_path):
    _, cells = read_cells(table(tmp_path, lines(['"CT, axial\nT2, coronal\nleft, right"', "plain"])))
    assert cells.rows[0][1] == "CT, axial\nT2, coronal\nleft, right"


def test_bad_lines_are_named_by_where_they_begin(tmp_path):
    _, cells = read_cells(table(tmp_path, HEADER + 'a,"two\nlines",three\nb\n\nc,d\n'))
    assert cells.rows == [("c", "d")] and cells.bad_lines == ["line 2", "line 4"]


@pytest.mark.parametrize(
    ("first", "delimiter"), [("ID;Caption", ";"), ("sep=;\nID;Caption", ";"), ("sep=\t\nID\tCaption", "\t")]
)
def test_excels_delimiters(first, delimiter, tmp_path):
    header, cells = read_cells(table(tmp_path, f"{first}\na{delimiter}CT, axial, with contrast\n"))
    assert header == ["ID", "Caption"] and cells.rows == [("a", "CT, axial, with contrast")]


def test_a_header_may_hold_another_delimiter(tmp_path):
    header, cells = read_cells(table(tmp_path, "ID;Caption, in English\na;CT\nb;MR\n"))
    assert header == ["ID", "Caption, in English"] and len(cells.rows) == 2


UMLAUTS = "Röntgen: Größe 5 µm, 37 °C, “Ödem” … naïve"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("name", ["table.csv", "table.jsonl"])
def test_encodings_that_are_certain(encoding, name, tmp_path, caplog):
    text = lines([f'"{UMLAUTS}"']) if name == "table.csv" else f'{{"ID": "{IDS[0]}", "Caption": "{UMLAUTS}"}}\n'
    records = read_records(table(tmp_path, text, name, encoding))
    assert [row["Caption"] for row in records.rows] == [UMLAUTS]
    assert ("read as cp1252" in caplog.text) == (encoding == "cp1252")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("ID,Caption\na,胸部X線写真で両側の浸潤影\n".encode("shift-jis"), "neither UTF-8 nor certainly cp1252: line 2"),
        ("ID,Caption\na,рентген грудной клетки\n".encode("cp1251"), "neither UTF-8 nor certainly cp1252: line 2"),
        ("ID,Caption\na,Größe\nb,Öd".encode() + b"\xc3", "UTF-8, and damaged: line 3"),
        ("ID,Caption\na,Größe\nb,".encode() + b"\xff\xff\n", "UTF-8, and damaged: line 3"),
        ("ID,Caption\na,CT\n".encode("utf-16-le"), "is no text: line 1 holds a zero byte"),
        (b"\xff\xfeI\0D\0,\0C", "begins as utf-16"),
    ],
)
def test_encodings_that_are_not(content, said, tmp_path):
    (tmp_path / "table.csv").write_bytes(content)
    with pytest.raises(UserError, match=said) as error:
        read_text(tmp_path / "table.csv")
    assert "table.csv" in str(error.value) and str(error.value).count("\n") == 1


def test_a_packed_table_that_is_cut_is_named(tmp_path):
    (tmp_path / "table.csv.gz").write_bytes(b"\x1f\x8b\x08\0\0\0\0\0\0\x03cut")
    with pytest.raises(UserError, match=r"table\.csv\.gz cannot be unpacked"):
        read_cells(tmp_path / "table.csv.gz")
