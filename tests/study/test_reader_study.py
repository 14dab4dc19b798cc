"""A study from runs to a result: what readers get tells them nothing, and what they give back is whole or refused."""

import csv
import io
import json
import re
from collections import Counter

import pytest
from commands import ROOT
from made_runs import examples, make_run

from rococap.compare.runs import find_runs
from rococap.report.reader_sheet import sheet_page
from rococap.runs.predictions import PredictionWriter, read_predictions
from rococap.study.key import REFERENCE, Caption, Entry, Key, captions_of, draw, read_key
from rococap.study.returned import read_answers
from rococap.study.sheet import COLUMNS, sheet_of
from rococap.study.size import difference_seen, images_needed
from rococap.types import UserError

SCRIPT = ROOT / "scripts" / "reader_study.py"


@pytest.fixture(scope="module")
def places(finished, tmp_path_factory):
    """Two runs of different skill, with names that no page should hold."""
    place = tmp_path_factory.mktemp("study")
    return [make_run(finished, place / name, skill).path for name, skill in (("weakling", 0.3), ("strongman", 0.9))]


@pytest.fixture(scope="module")
def key(places):
    runs = find_runs(places)
    return draw(runs, captions_of(runs), 12, "salt")


@pytest.fixture(scope="module")
def by_id():
    return {example.id: example for example in examples()}


def fill(key, reader, value=lambda entry, caption: 3, place=lambda entry, caption: 1):
    """A sheet's rows as the page saves them, answered by functions of entry and caption."""
    rows = []
    for number, entry in enumerate(key.entries, 1):
        for letter, caption in zip("ABC", entry.captions, strict=False):
            given = [place(entry, caption), *[value(entry, caption)] * 2]
            rows.append([key.code, reader, str(number), letter, *map(str, given)])
    return rows


def write(path, rows, header=COLUMNS):
    file = io.StringIO(newline="")
    csv.writer(file).writerows([header, *rows])
    path.write_text(file.getvalue())
    return path


def test_what_readers_get_says_nothing_of_whose_a_caption_is(key, by_id, places):
    sheet = sheet_of(key, by_id)
    page, table = sheet_page(sheet), sheet.table()
    own = page.split('<form id="sheet"')[1]
    for told in (*key.systems, *(entry.id for entry in key.entries), str(places[0].parent), key.salt):
        assert told not in page and told not in table
    renamed = Key(key.systems[::-1], key.salt, tuple(_renamed(entry, key.systems) for entry in key.entries))
    blind = sheet_of(renamed, by_id)
    assert renamed.code != key.code  # all else that readers get is the same, whoever said what
    assert sheet_page(blind).replace(renamed.code, key.code) == page
    assert blind.table().replace(renamed.code, key.code) == table
    for caption in (caption for entry in key.entries for caption in entry.captions):
        assert caption.text in own and caption.text in table
    assert not re.search(r"https?://|src=\"(?!data:)", page)


def _renamed(entry, systems):
    other = dict(zip(systems, systems[::-1], strict=True))
    return Entry(
        entry.id, entry.group, tuple(Caption(c.text, tuple(map(other.get, c.systems))) for c in entry.captions)
    )


def test_images_and_orders_are_by_chance(places):
    runs = find_runs(places)
    said, first, chosen = captions_of(runs), Counter(), set()
    for salt in range(20):
        made = draw(runs, said, 12, str(salt))
        first.update(entry.captions[0].systems[0] for entry in made.entries if len(entry.captions) == 3)
        chosen.add(tuple(entry.id for entry in made.entries))
    assert len(chosen) == 20
    total = sum(first.values())
    assert set(first) == {REFERENCE, "weakling", "strongman"}
    assert all(abs(count - total / 3) < 4 * (total * 2 / 9) ** 0.5 for count in first.values())


def test_who_says_the_same_is_shown_once(finished, tmp_path):
    copies = [make_run(finished, tmp_path / name, 1.0) for name in ("one", "two")]
    file = copies[0].path / "predictions" / "test.jsonl"
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    blanks = [{**line, "references": [f" {each}\u00a0" for each in line["references"]]} for line in lines]
    for copy in copies:  # that references have more blanks than models give tells nobody whose a caption is
        copy.note(digests={})
        (copy.path / "predictions" / "test.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in blanks))
    runs = find_runs([copy.path for copy in copies])
    made = draw(runs, captions_of(runs), 5, "salt")
    assert {caption.systems for entry in made.entries for caption in entry.captions} == {(REFERENCE, "one", "two")}


def test_a_key_is_kept_once_and_known_by_its_code(key, tmp_path):
    file = tmp_path / "key.json"
    key.write(file)
    assert read_key(file) == key and read_key(file).code == key.code
    with pytest.raises(UserError, match="the key of another study"):
        key.write(file)
    file.write_text(file.read_text().replace("weakling", "strongman"))
    with pytest.raises(UserError, match=r"key\.json is damaged: it was changed"):
        read_key(file)
    with pytest.raises(UserError, match="--out names the folder"):
        read_key(tmp_path / "none.json")


def swapped(row, **cells):
    return [cells.get(name, cell) for name, cell in zip(COLUMNS, row, strict=True)]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda rows: rows[1:], r"lacks 1 row\(s\): image 1 A"),
        (lambda rows: [], r"lacks 3\d row\(s\)"),
        (lambda rows: [*rows, rows[4]], r"has twice 1 row\(s\): image 2 C"),
        (lambda rows: [*rows, swapped(rows[0], image="99")], r"has, and the study has not, 1 row\(s\): image 99 A"),
        (lambda rows: [*rows[:-1], swapped(rows[-1], correct="")], "1 captions without an answer in correct: image 12"),
        (
            lambda rows: [swapped(rows[0], complete="6"), *rows[1:]],
            "complete is no number of 1 to 5 for image 1 A, .*6",
        ),
        (lambda rows: [swapped(rows[0], place="4"), *rows[1:]], "place is no number of 1 to 2 for image 1 A"),
        (lambda rows: [swapped(rows[0], correct="4.5"), *rows[1:]], "correct is no number"),
        (lambda rows: [swapped(row, reader="") for row in rows], "names no reader"),
        (lambda rows: [swapped(rows[0], reader="Bo"), *rows[1:]], r"names 2 readers \(Bo, Ann\)"),
        (lambda rows: [swapped(row, study="f" * 16) for row in rows], "another study .code f{16}; this key's is"),
        (lambda rows: [row[:-1] for row in rows[:1]] + rows[1:], "line 2 cannot be read"),
    ],
)
def test_a_sheet_that_is_not_whole_is_named_and_none_is_counted(key, tmp_path, change, said):
    good = write(tmp_path / "good.csv", fill(key, "Cy"))
    bad = write(tmp_path / "bad.csv", change(fill(key, "Ann")))
    with pytest.raises(UserError, match=f"(?s)No sheet was counted.*bad.csv: .*{said}") as refusal:
        read_answers([good, bad], key)
    assert "good.csv" not in str(refusal.value)


def test_two_sheets_of_one_reader_and_other_tables_are_refused(key, tmp_path):
    first, second = (write(tmp_path / f"{n}.csv", fill(key, name)) for n, name in enumerate(("Ann  B", "ann b")))
    with pytest.raises(UserError, match=r"0\.csv and .*1\.csv are both of the reader 'ann b'"):
        read_answers([first, second], key)
    other = write(tmp_path / "other.csv", [["x", "1"]], ["ID", "Caption"])
    with pytest.raises(UserError, match="has no column study or reader"):
        read_answers([other], key)


def test_a_sheet_from_a_spreadsheet_is_read(key, tmp_path):
    rows = [["sheet filled in Excel", *row] for row in fill(key, "'=Ann", lambda entry, caption: 4)]
    lines = [";".join(row) for row in [["text", *(name.title() for name in COLUMNS)], *rows]]
    (tmp_path / "a.csv").write_bytes("\r\n".join(lines).encode("utf-8-sig"))
    (answers,) = read_answers([tmp_path / "a.csv"], key)
    assert answers.reader == "=Ann" and set(answers.values["correct"]) == {4.0}


def test_runs_that_do_not_go_together_are_named(finished, tmp_path, places, detected):
    fewer = make_run(finished, tmp_path / "fewer", 0.5, images=40).path
    with pytest.raises(UserError, match=r"fewer has other images of test than .*weakling: 20 that only one"):
        captions_of(find_runs([places[0], fewer]))
    other = make_run(finished, tmp_path / "other", 0.5)
    file = other.path / "predictions" / "test.jsonl"
    lines = [{**json.loads(line), "references": ["another one"]} for line in file.read_text().splitlines()]
    file.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    with pytest.raises(UserError, match=r"test\.jsonl is damaged"):
        captions_of(find_runs([other.path]))
    other.note(digests={})
    with pytest.raises(UserError, match=r"other references than .*weakling for 60 images"):
        captions_of(find_runs([places[0], other.path]))
    with pytest.raises(UserError, match="gives concepts"):
        captions_of(find_runs([detected]))
    file.unlink()
    with pytest.raises(UserError, match=r"scripts/evaluate\.py --run"):
        captions_of(find_runs([other.path]))


def test_runs_without_references(finished, tmp_path):
    for name in ("one", "two"):
        folder = make_run(finished, tmp_path / name, 0.5, lora__rank=len(name))
        folder.note(digests={})
        predictions = read_predictions(folder.path / "predictions" / "test.jsonl")
        with PredictionWriter(folder.path / "predictions" / "test.jsonl") as file:
            for each in predictions:
                file.write(type(each)(each.id, each.prediction))
    runs = find_runs([tmp_path])
    assert draw(runs, captions_of(runs), 5, "salt").systems == ("one", "two")
    with pytest.raises(UserError, match="no references, and one run has nothing beside it"):
        draw(runs[:1], captions_of(runs[:1]), 5, "salt")


def test_the_size_is_noethers():
    """Noether (1987): a sign test at 0.05 with power 0.8 that is to see 0.6 or 0.7 needs 196 or 49."""
    assert [images_needed(difference, 2) for difference in (0.1, 0.2)] == [197, 50]  # 196.2, 49.06
    assert images_needed(0.15, 3) > images_needed(0.15, 2)
    for systems in (2, 3, 5):
        needed = images_needed(0.15, systems)
        assert difference_seen(needed, systems) <= 0.15 < difference_seen(needed - 1, systems)


def test_a_study_by_two_commands(places, run, tmp_path):
    done = run(SCRIPT, *places, "--images", 8, "--out", tmp_path / "study")
    assert done.returncode == 0, done.stderr
    assert "8 of 60 images, captions of reference, " in done.stdout and "keep" in done.stdout
    given = tmp_path / "study" / "for_readers"
    assert {file.name for file in given.iterdir()} == {"sheet.html", "sheet.csv"}
    key = read_key(tmp_path / "study" / "key.json")
    best = {REFERENCE: 1, "strongman": 2, "weakling": 3}

    def place(entry, caption):
        ranks = sorted(min(best[system] for system in each.systems) for each in entry.captions)
        return 1 + ranks.index(min(best[system] for system in caption.systems))

    sheets = [write(tmp_path / f"{name}.csv", fill(key, name, place=place)) for name in ("Ann", "Bo")]
    done = run(SCRIPT, "--score", *sheets, "--out", tmp_path / "study")
    assert done.returncode == 0, done.stderr
    assert "Krippendorff" in done.stdout and "2 readers" in done.stdout
    table = list(csv.DictReader((tmp_path / "study" / "results.csv").open()))
    (pair,) = [row for row in table if (row["system"], row["over"]) == (REFERENCE, "weakling")]
    assert float(pair["value"]) > 0.9 and (pair["images"], pair["readers"]) == ("8", "2")
    unblinded = list(csv.DictReader((tmp_path / "study" / "unblinded.csv").open()))
    assert len(unblinded) == 8 * 3 * 2 and {row["system"] for row in unblinded} == set(best)
    for words, said in (
        ([*places, "--out", tmp_path / "study"], "the key of another study"),
        (["--score", tmp_path / "none.csv", "--out", tmp_path / "study"], "none.csv"),
        ([], "give folders of runs, or --score"),
        ([*places, "--difference", "0.7"], "--difference must be"),
    ):
        done = run(SCRIPT, *words)
        assert done.returncode == 2 and said in done.stderr and "Traceback" not in done.stderr
