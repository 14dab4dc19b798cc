"""Shards, of this program's and of other people's making, as a dataset like any other."""

import io
import json
import shutil

import numpy as np
import pytest
from PIL import Image
from shard_server import served, tar
from test_table import draw, rows, table, write

from rococap.data.doctor.examination import examine
from rococap.data.image import UnreadableImage, read
from rococap.data.kept import folders
from rococap.data.phantom.source import Phantom
from rococap.data.shards import fetched
from rococap.data.shards.shardlist import INDEX
from rococap.data.shards.writing import write_shards
from rococap.data.webdataset import WebDataset
from rococap.types import SPLITS, Concept, UserError

MADE = {"columns": None, "valid": 0.2, "test": 0.2, "seed": 0}


def shards(root, **settings):
    return WebDataset(str(root), **(MADE | settings))


def picture(number, kind="PNG"):
    file = io.BytesIO()
    Image.fromarray(np.full((9, 12, 3), number * 8, np.uint8)).save(file, kind)
    return file.getvalue()


def people(folder, count=12, fields=lambda number: {}, name="part-000.tar", first=0):
    files = {}
    for number in range(first, first + count):
        files[f"{number:03}.png"] = picture(number)
        files[f"{number:03}.json"] = json.dumps({"report": f"Report {number}", **fields(number)}).encode()
    return tar(folder / name, files)


def all_of(source):
    return {split: source.examples(split) for split in SPLITS}


@pytest.fixture
def own(tmp_path):
    """A table whose images have several captions, patients, concepts and licences."""
    names = draw(tmp_path / "own")
    lines = rows(names)
    lines += [{**line, "report": "Another,\nlonger\u2028on\x85e"} for line in lines[::3]]
    more = [{**line, "CUIs": "C0000001;C0000002", "licence": "CC BY 4.0"} for line in lines]
    return table(write(tmp_path / "own" / "own.jsonl", more))


@pytest.fixture
def written(own, tmp_path):
    counts, unreadable = write_shards(all_of(own), tmp_path / "shards", 4096)
    assert unreadable == {} and counts["train"][0] == len(own.examples("train")) and counts["train"][1] > 2
    return tmp_path / "shards"


def test_a_dataset_as_shards_is_the_same_dataset(own, written):
    """By its fingerprint too: what was prepared of it, and runs, go on."""
    expected = own.fingerprint()
    assert shards(written).fingerprint() == expected
    (written / INDEX).unlink()
    again = shards(written)
    assert again.fingerprint() == expected
    for split, examples in all_of(own).items():
        for mine, its in zip(examples, again.examples(split), strict=True):
            assert (mine.id, mine.captions, mine.concepts, mine.attribution, mine.group) == (
                its.id, its.captions, its.concepts, its.attribution, its.group,
            )  # fmt: skip
            assert mine.image.content() == its.image.content()
    assert max(len(example.captions) for example in again.examples("train")) == 2


def test_what_is_written_twice_is_the_same_to_the_byte(own, written, tmp_path):
    write_shards(all_of(own), tmp_path / "again", 4096)
    for file in written.iterdir():
        assert (tmp_path / "again" / file.name).read_bytes() == file.read_bytes()
    with pytest.raises(UserError, match="not empty"):
        write_shards(all_of(own), tmp_path / "again", 4096)


def test_names_and_hands_of_concepts_stay_and_what_is_drawn_is_written(tmp_path):
    drawn = Phantom(3, 2, 2, seed=0)
    examples = all_of(drawn)
    [first, *_] = examples["train"]
    concepts = (Concept("C1"), Concept("C2", "Name; of two", True), Concept("C3", "", True, listed=False))
    odd = [
        *examples["train"],
        _with(first, id="c", concepts=concepts),
        _with(first, id="d", concepts=()),
        *(_with(first, id=name) for name in ("a/b.c", "a b.c", "ü" * 200)),
    ]
    write_shards({**examples, "train": odd}, tmp_path / "shards", 1 << 20)
    found = shards(tmp_path / "shards").examples("train")
    assert [e.id for e in found] == [e.id for e in odd]
    assert [e.concepts for e in found] == [e.concepts for e in odd] and any(concept.name for concept in first.concepts)
    assert read(found[0].image).tobytes() == read(first.image).tobytes()
    write_shards(
        {"test": [_with(first, captions=(), concepts=(Concept("C1"), Concept("C2", "", True)))]}, tmp_path / "t", 9
    )
    [lone] = _listed(tmp_path / "t")
    assert lone.fields["captions"] == [""]


def _with(example, **changes):
    from dataclasses import replace

    return replace(example, **changes)


def _listed(folder):
    from rococap.data.shards.index import indexed

    return [sample for _, held in indexed(str(folder)) for sample in held.samples]


def test_images_that_cannot_be_read_are_left_out_and_told(own, tmp_path):
    examples = all_of(own)
    lost = examples["train"][1]
    lost.image.path.unlink()
    examples["test"][0].image.path.write_bytes(b"")
    counts, unreadable = write_shards(examples, tmp_path / "shards", 1 << 20)
    assert set(unreadable) == {lost.id, examples["test"][0].id}
    assert counts["train"] == (len(examples["train"]) - 1, 1)


def test_the_packages_webdataset_and_datasets_read_them(written, own, tmp_path):
    webdataset = pytest.importorskip("webdataset")
    first = own.examples("train")[0]
    url = f"{written}/train-{{000000..000001}}.tar"
    sample = next(iter(webdataset.WebDataset(url, shardshuffle=False).decode("pil")))
    assert sample["txt"] == first.captions[0] and sample["json"]["captions"] == list(first.captions)
    assert sample["png"].tobytes() == read(first.image).tobytes()
    datasets = pytest.importorskip("datasets")
    found = datasets.load_dataset(str(written), cache_dir=str(tmp_path / "hf"))
    assert {split: len(found[split]) for split in found} == {
        {"valid": "validation"}.get(split, split): len(own.examples(split)) for split in SPLITS
    }
    assert found["train"][0]["txt"] == first.captions[0] and found["train"][0]["png"].size == (24, 24)


def test_other_peoples_shards_are_read(tmp_path):
    """Patients stay together, columns are known by their names, keys that come again are told apart."""
    webdataset = pytest.importorskip("webdataset")
    for number in range(2):
        with webdataset.TarWriter(str(tmp_path / f"part-{number}.tar")) as writer:
            for key in range(10):
                fields = {"patient_id": f"p{key // 2}", "findings": ["One.", "Two."] if key == 3 else f"Seen {key}"}
                writer.write({"__key__": f"{key:03}", "jpg": picture(key, "JPEG"), "json": fields})
    source = shards(tmp_path)
    found = all_of(source)
    assert sum(map(len, found.values())) == 20 and all(found.values())
    groups = [{example.group for example in examples} for examples in found.values()]
    assert not groups[0] & groups[1] and not groups[0] & groups[2] and not groups[1] & groups[2]
    everything = {e.id: e for examples in found.values() for e in examples}
    assert everything["part-0/003"].captions == ("One.", "Two.") and everything["part-1/004"].captions == ("Seen 4",)
    assert source.fingerprint() == shards(tmp_path).fingerprint()
    assert len({shards(tmp_path, seed=seed).fingerprint() for seed in range(4)}) > 1


def test_texts_are_captions_and_a_field_where_that_is_said(tmp_path):
    files = {"a.png": picture(1), "a.txt": b" One\nline ", "a.json": b'{"text": "In the field", "id": 7}'}
    files |= {f"b{n}.png": picture(n) for n in range(9)} | {f"b{n}.caption": b"More" for n in range(9)}
    tar(tmp_path / "train-0.tar", files)
    found = [e.captions for examples in all_of(shards(tmp_path)).values() for e in examples]
    assert sorted(found) == [("More",)] * 9 + [("One line",)]
    for n in range(9):
        files[f"b{n}.json"] = b'{"text": "In the field"}'
    tar(tmp_path / "train-0.tar", files)
    source = shards(tmp_path, columns={"caption": "text"})
    assert {e.captions for examples in all_of(source).values() for e in examples} == {("In the field",)}
    with pytest.raises(UserError, match="no column 'rport'"):
        shards(tmp_path, columns={"caption": "rport"}).examples("train")


def test_what_is_said_of_splits_must_agree_and_be_known(tmp_path):
    people(tmp_path / "a", fields=lambda number: {"split": ["train", "val", "test"][number % 3]})
    assert [len(shards(tmp_path / "a").examples(split)) for split in SPLITS] == [4, 4, 4]
    people(tmp_path / "b", fields=lambda number: {"split": "dev"}, name="train-0.tar")
    with pytest.raises(UserError, match=r"train-0\.tar is of the split train, and says that 000 in it is of 'dev'"):
        shards(tmp_path / "b").examples("train")
    people(tmp_path / "c", fields=lambda number: {"split": "holdout"})
    with pytest.raises(UserError, match="'holdout', which is none of train, valid and test"):
        shards(tmp_path / "c").examples("train")
    with pytest.raises(UserError, match="where are its shards"):
        WebDataset(None, **MADE).examples("train")


def test_what_is_odd_is_told_with_the_training_split(tmp_path):
    people(tmp_path, name="train-0.tar", count=30)
    more = {
        "x.png": picture(1),
        "x.jpg": picture(1),
        "y.json": b'{"report": "lone"}',
        "z.cls": b"1",
        "w.png": picture(1),
    }
    tar(tmp_path / "train-1.tar", more)
    source = shards(tmp_path)
    assert len(source.examples("train")) + len(source.examples("valid")) + len(source.examples("test")) == 30
    found = {name for names in source.problems("train").values() for name in names}
    assert {"train-1.tar/x", "train-1.tar/y", "train-1.tar/z.cls"} <= found
    missing = [source.missing(split)[0].count for split in SPLITS]
    assert sum(missing) == 1  # the text without an image


def test_an_image_that_was_changed_in_its_shard_is_unreadable(written):
    source = shards(written)
    image = source.examples("train")[0].image
    content = bytearray(image.shard.path.read_bytes())
    content[image.offset + 60] ^= 1
    image.shard.path.write_bytes(bytes(content))
    with pytest.raises(UnreadableImage, match="is not what it was when the shard was listed"):
        read(image)


def test_behind_a_url_and_packed_they_are_fetched_once(written, own, tmp_path, monkeypatch):
    pytest.importorskip("webdataset")
    monkeypatch.setattr(fetched, "PAUSES", (0.01, 0.01))
    with served(tmp_path) as server:
        source = shards(f"{server.url}/shards")
        assert source.fingerprint() == own.fingerprint() and server.asked == [INDEX]
        for split, examples in all_of(own).items():
            for mine, its in zip(examples, source.examples(split), strict=True):
                assert mine.image.content() == its.image.content()
        names = sorted(file.name for file in written.iterdir() if file.suffix == ".tar")
        assert sorted(server.asked[1:]) == names
        for file in (tmp_path / "cache" / "shards" / "fetched" / "all").glob("*.tar"):
            file.unlink()
        server.asked.clear()
        server.gone.add("train-000000.tar")
        with pytest.raises(UserError, match=r"train-000000\.tar cannot be read .* tried 3 times") as error:
            source.examples("train")[0].image.content()
        assert "the same command goes on" in str(error.value) and server.asked == ["train-000000.tar"] * 3
        server.gone.clear()
        server.short.add("train-000000.tar")
        with pytest.raises(UserError, match="the connection ended before the file did"):
            source.examples("train")[0].image.content()
        with pytest.raises(UserError, match=r"index\.jsonl cannot be read"):
            shards(f"{server.url}/nowhere").examples("train")
    packed = tar(tmp_path / "packed" / "part-000.tar.gz", {"a.png": picture(3), "a.txt": b"x"}, "w:gz")
    [sample] = _listed(packed.parent)
    assert sample.member == "a.png"


def test_what_was_fetched_gives_way(written, tmp_path, monkeypatch):
    pytest.importorskip("webdataset")
    folder = tmp_path / "cache" / "shards" / "fetched" / "all"

    def held():
        return sum(file.stat().st_size for file in folder.glob("*.tar"))

    with served(tmp_path) as server:
        images = [e.image for e in shards(f"{server.url}/shards").examples("train")]
        each = max(file.stat().st_size for file in written.glob("*.tar"))
        usage = shutil.disk_usage(tmp_path)
        monkeypatch.setattr(fetched.shutil, "disk_usage", lambda place: usage._replace(free=6 * each - held()))
        for image in images:
            assert read(image).size == (24, 24)
            assert held() <= 4 * each < sum(file.stat().st_size for file in written.glob("train-*"))
        monkeypatch.setattr(fetched.shutil, "disk_usage", lambda place: usage._replace(free=10))
        for file in folder.glob("*.tar"):
            file.unlink()
        with pytest.raises(folders.NoSpace, match="A shard takes"):
            images[0].content()


def test_the_doctor_serves_them(written, own):
    found = examine(shards(written), None)
    assert found.fingerprint == own.fingerprint()
    assert {split: len(each.looks.ids) for split, each in found.splits.items()} == {
        split: len(examples) for split, examples in all_of(own).items()
    }
    assert found.splits["test"].places == {str(written): len(own.examples("test"))}
