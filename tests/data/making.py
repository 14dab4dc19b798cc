"""Picture files made byte by byte, so that what is right is known without the reader that is tested."""

import struct
import zlib

import numpy as np

TYPES = {1: "B", 3: "H", 4: "I"}
FORMATS = {"u": 1, "i": 2, "f": 3}


def tiff(values, order="<", photometric=None, packed=False, apart=False, tile=None, tags=()):
    """A TIFF of one strip, or of square tiles of a `tile`'s side.

    Its values are [height, width] or [height, width, channels], of any type. `tags`: tag -> numbers.
    """
    values = np.asarray(values)
    channels = values.reshape(*values.shape[:2], -1)
    data = np.moveaxis(channels, 2, 0) if apart else channels
    planes = list(data) if apart else [data]
    if tile:
        room = [(0, -side % tile) for side in values.shape[:2]]
        padded = np.pad(channels, [*room, (0, 0)])
        places = [(y, x) for y in range(0, padded.shape[0], tile) for x in range(0, padded.shape[1], tile)]
        planes = [padded[y : y + tile, x : x + tile] for y, x in places]
    strips = [np.ascontiguousarray(plane).astype(values.dtype.newbyteorder(order)).tobytes() for plane in planes]
    strips = [zlib.compress(strip) for strip in strips] if packed else strips
    height, width, count = channels.shape
    entries = {
        256: [width],
        257: [height],
        258: [8 * values.dtype.itemsize] * count,
        259: [8 if packed else 1],
        262: [photometric if photometric is not None else 1 if count < 3 else 2],
        277: [count],
        278: [height],
        284: [2 if apart else 1],
        339: [FORMATS[values.dtype.kind]] * count,
        **dict(tags),
    }
    starts = np.cumsum([8, *map(len, strips)])
    if tile:
        del entries[278]
        where = {322: [tile], 323: [tile], 324: [int(s) for s in starts[:-1]], 325: [len(strip) for strip in strips]}
        return _joined(order, entries | where, strips)
    entries |= {273: [int(start) for start in starts[:-1]], 279: [len(strip) for strip in strips]}
    return _joined(order, entries, strips)


def _joined(order, entries, strips):
    """Header, strips, then what does not fit into the directory, then the directory."""
    body = b"".join(strips)
    body += b"\0" * (len(body) % 2)
    directory = b""
    for tag, numbers in sorted(entries.items()):
        kind = 4 if tag in (256, 257, 273, 278, 279, 324, 325) else 3
        content = struct.pack(f"{order}{len(numbers)}{TYPES[kind]}", *numbers)
        if len(content) > 4:
            content, body = struct.pack(f"{order}I", 8 + len(body)), body + content + b"\0" * (len(content) % 2)
        directory += struct.pack(f"{order}HHI", tag, kind, len(numbers)) + content.ljust(4, b"\0")
    magic = b"II" if order == "<" else b"MM"
    header = magic + struct.pack(f"{order}HI", 42, 8 + len(body))
    return header + body + struct.pack(f"{order}H", len(entries)) + directory + b"\0\0\0\0"


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(values, depth=16, before=(), after=()):
    """A PNG: values [height, width] or [height, width, 1 to 4]; chunks `before` and `after` the pixels."""
    values = np.asarray(values)
    channels = values.reshape(*values.shape[:2], -1)
    height, width, count = channels.shape
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[count]
    rows = channels.reshape(height, -1)
    if depth == 16:
        packed = rows.astype(">u2").view(np.uint8)
    elif depth == 8:
        packed = rows.astype(np.uint8)
    else:
        bits = (rows[..., None] >> np.arange(depth - 1, -1, -1)) & 1
        packed = np.packbits(bits.reshape(height, -1).astype(np.uint8), axis=1)
    lines = np.concatenate([np.zeros((height, 1), np.uint8), packed], axis=1).tobytes()
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(lines))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(before) + pixels + b"".join(after) + chunk(b"IEND", b"")


def exif(orientation, order=">", more=()):
    """EXIF data with an orientation, and `more` entries: (tag, type, count, the four bytes of the value)."""
    entries = sorted([(0x0112, 3, 1, struct.pack(f"{order}HH", orientation, 0)), *more])
    magic = b"MM" if order == ">" else b"II"
    packed = b"".join(struct.pack(f"{order}HHI", *entry[:3]) + entry[3] for entry in entries)
    return magic + struct.pack(f"{order}HIH", 42, 8, len(entries)) + packed + b"\0\0\0\0"


def scaled(values, low, high):
    """uint8 of values between two ends: the right value, computed without the program."""
    return np.rint((np.clip(np.asarray(values, np.float64), low, high) - low) * 255 / (high - low)).astype(np.uint8)
