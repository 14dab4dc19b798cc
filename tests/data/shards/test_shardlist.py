"""Which shards there are, of which split, and none missing unseen."""

import pytest

from rococap.data.shards.shardlist import Shard, index_url, said, shards_of, split_said
from rococap.types import UserError


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


@pytest.mark.parametrize(
    ("url", "split"),
    [
        ("d/train-000000.tar", "train"),
        ("d/val_3.tar.gz", "valid"),
        ("d/shard-dev-01.tgz", "valid"),
        ("d/test/000.tar", "test"),
        ("d/train/a/000.tar", ""),
        ("https://host/path/validation-001.tar?key=train", "valid"),
        ("https://host/test/001.tar", "test"),
        ("pipe:curl -s https://host/train/001.tar | cat", "train"),
        ("pipe:cat", ""),
        ("d/restrain-0.tar", ""),
    ],
)
def test_the_split_is_read_from_a_name_or_its_folder(url, split):
    assert split_said(url) == split


def test_a_folder_is_searched_below_and_its_own_name_says_nothing(tmp_path):
    root = tmp_path / "train"
    touch(root, "train/a/00.tar", "train/a/01.tar", "val/00.tar", ".hidden/x.tar", "notes.txt")
    assert [(shard.name, shard.split) for shard in shards_of(str(root))] == [
        ("00.tar", "train"), ("01.tar", "train"), ("00.tar", "valid"),
    ]  # fmt: skip
    touch(tmp_path / "test", "a.tar")
    assert shards_of(str(tmp_path / "test")) == [Shard(str(tmp_path / "test" / "a.tar"))]


@pytest.mark.parametrize(
    ("names", "fault"),
    [
        (["train-000000.tar", "train-000002.tar"], "1 shards are missing .* train-000001.tar"),
        (["train-000003.tar", "train-000004.tar"], "2 shards are missing .* train-000001.tar, train-000002.tar"),
        (["train-000000-of-000003.tar", "train-000001-of-000003.tar"], "train-000002-of-000003.tar"),
        (["t-0-of-2.tar", "t-1-of-2.tar", "t-2-of-3.tar"], "two sets"),
        (["train-0.tar", "extra-0.tar"], "1 of 2 shards do not say of which split they are, such as .*extra-0.tar"),
        (["train-val-0.tar"], "several splits: train, valid"),
        (["notes.txt"], "holds no shards"),
    ],
)
def test_what_is_missing_or_unclear_is_refused(names, fault, tmp_path):
    touch(tmp_path, *names)
    with pytest.raises(UserError, match=fault) as error:
        shards_of(str(tmp_path))
    assert len(str(error.value).splitlines()) <= 2


def test_series_may_begin_at_0_or_1_and_years_where_they_begin(tmp_path):
    touch(tmp_path, "a-00.tar", "a-01.tar", "b-01.tar", "b-02.tar", "mimic-2019.tar", "mimic-2020.tar", "c9.tar")
    assert len(shards_of(str(tmp_path))) == 7


def test_patterns(tmp_path):
    pytest.importorskip("webdataset")
    touch(tmp_path, "train-000.tar", "train-001.tar", "test-000.tar", "train-003.tar")
    there = shards_of(f"{tmp_path}/train-{{000..001}}.tar::{tmp_path}/test-000.tar")
    assert [shard.name for shard in there] == ["train-000.tar", "train-001.tar", "test-000.tar"]
    assert [shard.split for shard in shards_of("https://h/{train,val}-{00..01}.tar")] == ["train"] * 2 + ["valid"] * 2
    for pattern, fault in [
        (f"{tmp_path}/train-{{000..003}}.tar", "1 of 4 shards are not there: .*train-002.tar"),
        (f"{tmp_path}/train-000.tar::{tmp_path}/train-000.tar", "twice"),
        ("https://h/train-{0..", "no pattern"),
        ("https://h/${nowhere}.tar", "no pattern"),
        (str(tmp_path / "none"), "not there"),
    ]:
        with pytest.raises(UserError, match=fault):
            shards_of(pattern)


def test_messages_tell_no_passwords():
    assert said("https://me:secret@host/a.tar?signature=1") == "https://host/a.tar"
    assert index_url("https://host/set?token=1") == "https://host/set/index.jsonl?token=1"
    assert index_url("https://host/a.tar") is None and index_url("folder") is None
