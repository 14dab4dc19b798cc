"""What shards hold, read once and kept; what is damaged in them is never taken for their end."""

import json
import os
import time

import pytest
from shard_server import served, tar

from rococap.data.shards import index
from rococap.data.shards.index import LONE_TEXT, OTHERS, SEVERAL, indexed, scan
from rococap.data.shards.shardlist import INDEX, Shard
from rococap.types import UserError

PNG = b"\x89PNG some bytes"
DICOM = bytes(128) + b"DICM some bytes"


def pairs(count, first=0):
    return {
        f"{number:03}.{ending}": content
        for number in range(first, first + count)
        for ending, content in (("png", PNG + bytes([number]) * 600), ("txt", b"A caption"), ("json", b'{"a": 1}'))
    }


def held(path):
    return scan(Shard(str(path)))


def test_members_are_found_by_key_and_their_bytes_by_place(tmp_path):
    path = tar(
        tmp_path / "a.tar", pairs(2) | {"sub/x.jpg": b"JPEG", "sub/x.caption": "ä \n b".encode(), "device": DICOM}
    )
    found = held(path)
    assert [(s.key, s.member, s.text, s.fields) for s in found.samples] == [
        ("000", "000.png", "A caption", {"a": 1}),
        ("001", "001.png", "A caption", {"a": 1}),
        ("sub/x", "sub/x.jpg", "ä b", {}),
        ("device", "device", None, {}),
    ]
    content = path.read_bytes()
    assert content[found.samples[1].offset :][: found.samples[1].size] == PNG + bytes([1]) * 600
    assert found.problems == {}


@pytest.mark.parametrize(
    ("files", "problem", "names"),
    [
        ({"a.txt": b"x"}, LONE_TEXT, ["a"]),
        ({"a.png": PNG, "a.jpg": PNG}, SEVERAL, ["a"]),
        ([("a.png", PNG), ("a.png", PNG)], SEVERAL, ["a"]),
        ([("a.png", PNG), ("a.txt", b"x"), ("a.txt", b"y")], SEVERAL, ["a"]),
        ({"1.2.3.dcm": DICOM, "1.2.4.dcm": DICOM}, SEVERAL, ["1"]),
        ({"a.png": PNG, "a.json": b"[1]"}, index.BAD_TEXT, ["a"]),
        ({"a.png": PNG, "a.json": b"{"}, index.BAD_TEXT, ["a"]),
        ({"a.png": PNG, "a.txt": b"\xff\xfe"}, index.BAD_TEXT, ["a"]),
        ({"a.png": PNG, "a.cls": b"1"}, OTHERS, ["a.cls"]),
    ],
)
def test_what_has_no_partner_or_two_is_named(files, problem, names, tmp_path):
    found = held(tar(tmp_path / "a.tar", files))
    assert found.problems == {problem: names}
    assert len(found.samples) == (problem == OTHERS)


def test_of_several_pictures_the_one_with_a_plain_name_counts(tmp_path):
    found = held(tar(tmp_path / "a.tar", {"a.png": PNG, "a.mask.png": PNG}))
    assert [sample.member for sample in found.samples] == ["a.png"] and found.problems == {}


@pytest.mark.parametrize("mode", ["w:gz", "w:bz2", "w:xz"])
def test_packed_shards_are_unpacked(mode, tmp_path):
    plain, packed = tar(tmp_path / "a.tar", pairs(3)), tar(tmp_path / f"a.tar.{mode[2:]}", pairs(3), mode)
    assert held(packed) == held(plain)
    packed.write_bytes(packed.read_bytes()[:-40])
    with pytest.raises(UserError, match="damaged or cut"):
        held(packed)


BLOCKS = 3 * (512 + 1024 + 2 * 1024)  # of three images with their texts


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda c: c[: BLOCKS // 2 - 100], "cut"),
        (lambda c: c[: BLOCKS // 3], "without the mark of its end"),  # between two images, where tarfile sees an end
        (lambda c: c[: BLOCKS // 3 + 100], "cut"),
        (lambda c: c[: BLOCKS // 3] + b"\1" * 512 + c[BLOCKS // 3 + 512 :], "cut"),  # a header, likewise
        (lambda c: c + c, "several tar files in one"),
        (lambda c: b"", "is empty"),
        (lambda c: b"  <!DOCTYPE html><html>Sign in</html>", "a page or a message"),
        (lambda c: b'{"error": "no such key"}', "a page or a message"),
        (lambda c: b"\0" * 10240, "holds no image"),
        (lambda c: b"PK\3\4 a zip" * 200, "damaged or cut"),
    ],
)
def test_no_damage_is_taken_for_an_end(damage, said, tmp_path):
    good, bad = tar(tmp_path / "train-0.tar", pairs(3)), tar(tmp_path / "train-1.tar", pairs(3, 3))
    assert len(good.read_bytes()) >= BLOCKS and len(held(bad).samples) == 3
    bad.write_bytes(damage(bad.read_bytes()))
    with pytest.raises(UserError, match=said) as error:
        indexed(str(tmp_path))
    assert "1 of 2 shards cannot be read" in str(error.value) and str(bad) in str(error.value)
    assert len(str(error.value).splitlines()) == 2 and len(str(error.value)) < 400


def test_a_shard_is_read_once_and_again_when_it_is_touched(tmp_path, monkeypatch):
    path, read = tar(tmp_path / "set" / "train-0.tar", pairs(2)), []
    monkeypatch.setattr(index, "scan", lambda shard, scan=scan: read.append(shard) or scan(shard))
    monkeypatch.setattr(index, "SETTLED", 0.0)
    time.sleep(0.02)
    [(shard, first)] = indexed(str(tmp_path / "set"))
    assert shard.size == first.size and indexed(str(tmp_path / "set"))[0][1] == first and len(read) == 1
    os.utime(path, (1, 1))
    time.sleep(0.02)
    assert indexed(str(tmp_path / "set"))[0][1] == first and len(read) == 2
    *_, kept = sorted((tmp_path / "cache" / "shards" / "indexes" / "all").glob("*.json"), key=os.path.getmtime)
    kept.write_bytes(kept.read_bytes()[:-3])
    assert indexed(str(tmp_path / "set"))[0][1] == first and len(read) == 3


def test_behind_a_url_it_is_read_once_while_the_server_says_the_same(tmp_path):
    pytest.importorskip("webdataset")
    tar(tmp_path / "train-0.tar", pairs(2))
    with served(tmp_path) as server:
        found = [indexed(f"{server.url}/train-{{0..0}}.tar") for _ in range(2)]
        assert found[0] == found[1] and server.asked == ["train-0.tar"]
        tar(tmp_path / "train-0.tar", pairs(3))
        os.utime(tmp_path / "train-0.tar", (1, 1))
        assert len(indexed(f"{server.url}/train-{{0..0}}.tar")[0][1].samples) == 3
        server.short.add("cut.tar")
        tar(tmp_path / "cut.tar", pairs(9))
        for name, said in [("cut", "the connection ended before the file did"), ("none", "no such file")]:
            with pytest.raises(UserError, match=f"{name}.tar .*{said}"):
                indexed(f"{server.url}/{name}.tar")
        assert (
            indexed(f"pipe:cat {tmp_path}/train-0.tar")[0][1].samples
            == indexed(str(tmp_path / "train-0.tar"))[0][1].samples
        )
        for command, said in [("nocommand x.tar", "not installed"), (f"head -c 2000 {tmp_path}/cut.tar", "cut")]:
            with pytest.raises(UserError, match=said):
                indexed(f"pipe:{command}")


def lines(*shards):
    return index.index_text([(name, held) for name, held in shards])


def test_an_index_beside_shards_is_theirs_or_refused(tmp_path):
    found = held(tar(tmp_path / "train-0.tar", pairs(3)))
    text = lines(("train-0.tar", found))
    file = tmp_path / INDEX
    file.write_text(text)
    assert indexed(str(tmp_path)) == [(Shard(str(tmp_path / "train-0.tar"), "train", found.size), found)]
    head, *rows = text.splitlines()
    for broken, said in [
        ("\n".join([head, *rows[:-1]]), "is cut"),
        (text[:-30], "no index"),
        ("", "no index"),
        (text.replace("train-0.tar", "../train-0.tar"), "no index"),
        (text.replace("train-0.tar", "train-1.tar"), "lacks train-0.tar, and 1 more"),
        (json.dumps({**json.loads(head), "rococap": 99}), "another version"),
    ]:
        file.write_text(broken)
        with pytest.raises(UserError, match=said) as error:
            indexed(str(tmp_path))
        assert len(str(error.value).splitlines()) <= 2
    file.write_text(text)
    (tmp_path / "train-0.tar").write_bytes(b"short")
    with pytest.raises(UserError, match="shorter: cut, or another"):
        indexed(str(tmp_path))


def test_a_program_that_is_not_here_is_named(monkeypatch):
    pytest.importorskip("webdataset")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UserError, match="the program curl, which fetches it, is not installed"):
        indexed("https://localhost/x.tar")
