"""Files that are written whole or not at all, in the cache and in runs' folders."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from rococap.types import UserError

_REMEDY = "Free some space, or choose another folder."


@contextmanager
def whole_file(path: Path, remedy: str = _REMEDY) -> Iterator[BinaryIO]:
    """A file to write that takes its name when the block has ended well; what had that name stays until then.

    It is on the disk by then, not only in the system's memory: a machine that loses its power loses no half of it. What
    is left where the process is killed, `NAME.tmp`, gives way to the next that is written.

    Args:
        remedy: what a user can do where it cannot be written.

    Raises:
        UserError: the disk is full or cannot be written.
    """
    part = path.with_name(f"{path.name}.tmp")
    try:
        part.unlink(missing_ok=True)
        with part.open("xb") as file:  # never through a link of that name, which would write where it points
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        reason = error.strerror or f"the disk is full: {error}"  # numpy gives no errno where it could write but a part
        raise UserError(f"{path} cannot be written ({reason}).\n{remedy}") from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def write_whole(path: Path, content: str | bytes | Callable[[BinaryIO], object], remedy: str = _REMEDY) -> None:
    """Write a `whole_file`: text in UTF-8, bytes, or what a function writes into it."""
    with whole_file(path, remedy) as file:
        if callable(content):
            content(file)
        else:
            # A caption may hold half a character, which no encoding has.
            file.write(content.encode(errors="replace") if isinstance(content, str) else content)


def _sync_folder(folder: Path) -> None:
    """Keep the name too: a file whose folder is not on the disk may be gone after a loss of power."""
    with suppress(OSError):  # some file systems know no such thing
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
