"""Shards: tar files of images and of what is said of them, here or behind URLs; read, fetched, streamed, written.

Imports types, cli, and of data what images and kept things are. Front doors: `index.indexed`, which lists what shards
hold; `image`, what an image in one is; `ahead`, which fetches what comes next; `writing.write_shards`.
"""
