"""Shards as the package webdataset has them: tar files of `key.jpg`, `key.txt` and `key.json`, here or behind URLs."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

from rococap.data.layout import SPLIT_WORDS
from rococap.data.lines import Line, line_of
from rococap.data.own import ColumnData
from rococap.data.places import Odd
from rococap.data.records import Records, chosen, texts
from rococap.data.shards.image import ShardImage
from rococap.data.shards.index import LONE_TEXT, Held, Sample, indexed, problems_of
from rococap.data.shards.shardlist import Shard, said
from rococap.data.shards.writing import FIELDS
from rococap.data.splits import digest
from rococap.types import SPLITS, Concept, Split, UserError

log = logging.getLogger(__name__)

_TEXT = "caption_text"  # stands for a text file as a field would, of captions the least likely: see `chosen`


class WebDataset(ColumnData):
    """What shards hold. What is said of an image stands in its `.json`, and its caption there or in its `.txt`.

    A shard's name or folder says of which split it is (`train-000000.tar`), else the field `split` of each image; where
    nothing does, splits are made. An image's id is its key, with its shard's name where keys come again.

    Args:
        root: a folder of shards, here or behind a URL with the index that scripts/prepare.py --shards writes; or a
            pattern of paths or URLs, see `shardlist.shards_of`.
        columns: which fields hold what, see `ColumnData`.
        valid, test, seed, dicom_frame, burned_in: see `ColumnData`.
    """

    def __init__(
        self,
        root: str | None,
        columns: Mapping[str, str | None] | None,
        valid: float,
        test: float,
        seed: int,
        dicom_frame: str = "first",
        burned_in: bool = False,
    ) -> None:
        super().__init__(None, columns, valid, test, seed, dicom_frame, burned_in)  # a URL is no path
        self.pattern = root

    @property
    def where(self) -> str:
        """`root`, for messages; raises UserError where it is not said."""
        if not self.pattern:
            raise UserError("data=webdataset: where are its shards? data.root=DIR, or a URL, or a pattern of them.")
        return said(self.pattern)

    def fingerprint(self) -> str:
        """As of any dataset of the same images, captions and splits, wherever these lie; no image is read for it."""
        splits = {split: self.examples(split) for split in SPLITS if self.has(split)}
        images = [example.image for examples in splits.values() for example in examples]
        return digest(splits, [f"{image.checksum:08x}" for image in images if isinstance(image, ShardImage)])

    def lines(self) -> tuple[list[Line], Odd]:
        """Of all shards; raises UserError as `indexed`, or where no caption is found."""
        there = [(shard, sample) for shard, held in self._shards for sample in held.samples]
        columns = dict.fromkeys(name for _, sample in there for name in sample.fields)
        has_texts = any(sample.text is not None for _, sample in there)
        given = {**self.columns, "image": "image"}
        listed = [*columns, "image", *([_TEXT] if has_texts else [])]
        names = chosen(Records(listed, [], []), given, self.where)
        said_of = ", ".join(f"{what} is {name}" for what, name in names.items() if what != "image")
        log.info("%s: %d shards; %s", self.where, len(self._shards), said_of)
        text_first = has_texts and not self.columns.get("caption")
        ids = _ids(there)
        lines = [
            _line(name, shard, sample, names, text_first=text_first)
            for name, (shard, sample) in zip(ids, there, strict=True)
        ]
        lone = [(shard, key) for shard, held in self._shards for key in held.problems.get(LONE_TEXT, [])]
        odd = {what: names for what, names in problems_of(self._shards) if what != LONE_TEXT}
        return lines + [Line(f"{shard.name}/{key}", None, (), shard.split) for shard, key in lone], odd

    @cached_property
    def _shards(self) -> list[tuple[Shard, Held]]:
        assert self.where
        return indexed(str(self.pattern))


def _ids(there: Sequence[tuple[Shard, Sample]]) -> list[str]:
    own = [sample.fields.get(FIELDS["id"]) for _, sample in there]
    if all(isinstance(name, str) for name in own) and len(set(own)) == len(own):
        return [str(name) for name in own]
    names = [sample.key for _, sample in there]
    if len(set(names)) < len(names):
        names = [f"{shard.name.partition('.')[0]}/{sample.key}" for shard, sample in there]
    if again := [name for name, count in Counter(names).items() if count > 1]:
        raise UserError(f"{len(again):,} keys stand in two shards of one name, such as {again[0]}.\nRename the shards.")
    return names


def _line(name: str, shard: Shard, sample: Sample, names: Mapping[str, str], *, text_first: bool) -> Line:
    cells = {what: texts(sample.fields.get(column)) for what, column in names.items() if what != "image"}
    ours = FIELDS["id"] in sample.fields
    if text_first and sample.text is not None and len(cells["caption"]) < 2 and not ours:  # several are in no text
        cells["caption"] = texts(sample.text)
    split = (cells.get("split") or [""])[0]
    if shard.split and split and shard.split != _known(split):
        raise UserError(f"{shard} is of the split {shard.split}, and says that {sample.key} in it is of {split!r}.")
    cells["split"] = [shard.split or split]
    image = ShardImage(shard, sample.member, sample.offset, sample.size, sample.checksum)
    line = line_of(name, image, cells)
    return replace(line, concepts=_concepts(sample.fields)) if ours else line


def _known(word: str) -> Split | None:
    return next((split for split in SPLITS if word.lower() in SPLIT_WORDS[split]), None)


def _concepts(fields: Mapping[str, Any]) -> tuple[Concept, ...]:
    """As scripts/prepare.py --shards writes them: with their names, and which of them a person assigned."""
    cuis, names, manual, listed = (fields.get(FIELDS[what]) or [] for what in ("concepts", "names", "manual", "listed"))
    each = zip(cuis, names, manual, listed, strict=False)
    return tuple(Concept(cui, name, hand == "yes", own == "yes") for cui, name, hand, own in each if cui)
