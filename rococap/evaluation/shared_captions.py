"""Captions of a split by all processes of a run: each takes some batches, and what they had made outlives them.

A batch is a line of `NAME.part-RANK`, behind its checksum: a line that was cut off counts as not written, and a run
that goes on, with any number of processes, captions what no line holds. The batches are those of one process, and so
are the captions to the last bit.
"""

from __future__ import annotations

import base64
import json
import os
import zlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.progress import track

from rococap.data.datamodule import CaptionData
from rococap.models.base import Model
from rococap.processes.group import group
from rococap.recipe.captioning import asking, encoding
from rococap.recipe.recipe import Recipe
from rococap.types import Said, Split, UserError


@dataclass(frozen=True)
class Parts:
    """The files of a split's captions in the making.

    Attributes:
        path: what they are named by.
        of: digest of what the captions hang on; lines of another are left aside.
    """

    path: Path
    of: str

    def read(self) -> dict[str, Said]:
        """Id -> what was said, of all whole lines."""
        lines = (line for file in self.files() for line in file.read_bytes().split(b"\n"))
        return {name: said for line in lines for name, said in self._whole(line)}

    def files(self) -> list[Path]:
        """Of all processes, of this session and earlier ones."""
        return sorted(self.path.parent.glob(f"{self.path.name}.part-*"))

    def add(self, rank: int, said: Mapping[str, Said]) -> None:
        """Keep a batch; it is on the disk when this returns."""
        file = self.path.with_name(f"{self.path.name}.part-{rank}")
        content = json.dumps([self.of, {name: _plain(each) for name, each in said.items()}]).encode("ascii")
        try:
            with file.open("ab") as stream:
                # A line of its own, whatever a killed process has left before it.
                stream.write(b"\n%08x %s\n" % (zlib.crc32(content), content))
                stream.flush()
                os.fsync(stream.fileno())
        except OSError as error:
            raise UserError(f"{file} cannot be written ({error.strerror}).\nFree some space.") from error

    def remove(self) -> None:
        """Once the captions are where they belong."""
        for file in self.files():
            file.unlink(missing_ok=True)

    def _whole(self, line: bytes) -> Iterator[tuple[str, Said]]:
        checksum, _, content = line.partition(b" ")
        with suppress(ValueError):
            if int(checksum, 16) == zlib.crc32(content):
                of, said = json.loads(content)
                if of == self.of:
                    yield from ((name, _said(*plain)) for name, plain in said.items())


def _plain(said: Said) -> list[str]:
    """As JSON has it; float32 to the last bit."""
    if said.probabilities is None:
        return [said.text]
    return [said.text, base64.b64encode(said.probabilities.astype("<f4").tobytes()).decode("ascii")]


def _said(text: str, probabilities: str | None = None) -> Said:
    return Said(text, None if probabilities is None else np.frombuffer(base64.b64decode(probabilities), "<f4"))


def shared_captions(
    captioner: Model, data: CaptionData, split: Split, recipe: Recipe, parts: Parts, title: str
) -> dict[str, Said]:
    """Ask a model of a split, in all processes of the run; each of them gets all answers, by id.

    Raises:
        UserError: what was made cannot be kept.
    """
    processes = group()
    encode, ask = encoding(captioner, recipe), asking(captioner, recipe)
    size = recipe.decoding.batch_size
    ids = [example.id for example in data.examples(split)]
    batches = [ids[first : first + size] for first in range(0, len(ids), size)]
    # As the first one sees it, before any of them writes.
    known: dict[str, Said] = processes.gathered(parts.read() if processes.rank == 0 else None)[0]
    left = [number for number, batch in enumerate(batches) if not known.keys() >= set(batch)]
    mine = left[processes.rank :: processes.count]
    loader = data.loader(split, size, only=mine)
    made: dict[str, Said] = {}
    for batch in track(loader, description=title, total=len(mine), disable=processes.rank > 0):
        # Kept features are of a tower that does not train; pixels may belong to one that did.
        features = encode(batch.pixel_values) if batch.features is None else batch.features
        new = dict(zip(batch.ids, ask(features, batch.prompts), strict=True))
        parts.add(processes.rank, new)
        made |= new
    everywhere = {**known, **{name: said for each in processes.gathered(made) for name, said in each.items()}}
    return {name: everywhere[name] for name in ids}
