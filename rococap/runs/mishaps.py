"""What befalls a run on its machine, said in two lines: a disk full or closed, too few files, a killed worker."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

from rococap.types import UserError

_DISK = "Free some space, or choose another folder; the cache goes where ROCOCAP_CACHE says. The same command goes on."
_FILES = "Allow more (ulimit -n 4096), or take data.workers=0. The same command goes on."
_CLOSED = "Give access, or choose another folder. The same command goes on."
_REMEDIES = {
    errno.ENOSPC: _DISK, errno.EDQUOT: _DISK, errno.EFBIG: _DISK, errno.EROFS: _CLOSED, errno.EACCES: _CLOSED,
    errno.EMFILE: _FILES, errno.ENFILE: _FILES,
}  # fmt: skip
_WORKER = "DataLoader worker"


@contextmanager
def mishaps_named() -> Iterator[None]:
    """Raise UserError in place of what would be a traceback, though nothing is wrong with the program."""
    try:
        yield
    except OSError as error:
        if error.errno not in _REMEDIES:
            raise
        verb = "written" if _REMEDIES[error.errno] == _DISK else "opened"  # be it to read or to write
        why = os.strerror(error.errno)
        raise UserError(f"{error.filename or 'A file'} cannot be {verb} ({why}).\n{_REMEDIES[error.errno]}") from error
    except RuntimeError as error:
        said = str(error)
        if _WORKER not in said:
            raise
        first = said[said.index(_WORKER) :].partition("\n")[0]
        raise UserError(
            f"A process that loads batches has ended: {first}\n"
            "It was killed, perhaps for want of memory: take fewer data.workers, or 0. The same command goes on."
        ) from error
