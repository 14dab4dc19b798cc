"""An image in a shard."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path

from rococap.data.image import StoredImage, UnreadableImage, require_size
from rococap.data.pictures.dicom import USUAL, View
from rococap.data.shards import fetched
from rococap.data.shards.shardlist import Shard


@dataclass(frozen=True, slots=True)
class ShardImage(StoredImage):
    """Bytes `offset` to `offset + size` of an unpacked shard, whose CRC-32 is `checksum`."""

    shard: Shard
    member: str
    offset: int
    size: int
    checksum: int
    view: View = USUAL

    def __str__(self) -> str:
        return f"{self.shard}/{self.member}"

    @property
    def files(self) -> tuple[Path, ...]:
        return (self.shard.path,) if self.shard.path is not None else ()

    @property
    def part(self) -> str:
        return self.member

    def content(self) -> bytes:
        require_size(self, self.size)
        with fetched.opened(self.shard) as stream:
            stream.seek(self.offset)
            content = stream.read(self.size)
        if zlib.crc32(content) != self.checksum:
            raise UnreadableImage(f"{self}: is not what it was when the shard was listed: damaged, or another")
        return content
