"""Mistakes with shards: ends that are none, images of another time, orders that do not repeat."""

from mutation import Mutation as M

READING, INDEX, IMAGE = (f"rococap/data/shards/{name}.py" for name in ("reading", "index", "image"))
SAMPLER, DATASET = "rococap/data/shard_sampler.py", "rococap/data/dataset.py"

SHARDS = [
    M(
        "a damaged header in a shard is taken for its end",
        READING,
        'raise tarfile.ReadError(str(error) if buf else "it ends without the mark of its end") from error',
        "raise",
        "data/shards/test_index.py",
    ),
    M(
        "what follows a shard's end is not seen",
        READING,
        'if rest.strip(b"\\0"):',
        "if False:",
        "data/shards/test_index.py",
    ),
    M(
        "a changed shard is what it was",
        INDEX,
        "keys.ShardIndex(keys.Shard(shard.url), now)",
        "keys.ShardIndex(keys.Shard(shard.url), None)",
        "data/shards/test_index.py",
    ),
    M(
        "bytes of a shard that are others are shown",
        IMAGE,
        "if zlib.crc32(content) != self.checksum:",
        "if False:",
        "data/test_webdataset.py",
    ),
    M(
        "shards in one order in every epoch",
        SAMPLER,
        "random = np.random.default_rng([self.seed, self.epoch])",
        "random = np.random.default_rng(self.seed)",
        "data/test_shard_sampler.py",
    ),
    M(
        "what fills no batch of a window is lost",
        SAMPLER,
        "left = images[whole:]",
        "left = images[:0]",
        "data/test_shard_sampler.py",
    ),
    M(
        "machines read each other's shards",
        SAMPLER,
        "own = np.array_split(order, self.machines)[self.machine]",
        "own = order[self.machine :: self.machines]",
        "data/test_shard_sampler.py",
    ),
    M(
        "a worker's fault comes with a traceback",
        DATASET,
        "if get_worker_info() is None:",
        "if True:",
        "data/test_streamed.py",
    ),
]
