"""A file that one process holds until it ends, however it ends. To ask whether it is held takes nothing.

flock(2) keeps others out, but can be asked only by taking it for a moment, in which a run that starts is refused. So
the holder has a second lock on the same open file, of the kind that can be asked for: an open file description lock
(fcntl(2), Linux), which a server of NFS answers for across machines too. BSD's and macOS's F_GETLK sees flock itself.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import struct
import sys
from pathlib import Path

_SECOND = getattr(fcntl, "F_OFD_SETLK", None)
_ASK = getattr(fcntl, "F_OFD_GETLK", fcntl.F_GETLK)
_FORM = "hhqqi4x" if sys.platform == "linux" else "qqihh"  # struct flock: type, whence, start, length, pid; BSD's order
_HELD = {errno.EAGAIN, errno.EACCES, errno.EWOULDBLOCK}
_UNKNOWN = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL}  # to this file system


def take(file: Path) -> int | None:
    """The descriptor that holds a file, to be closed to give it back; None where another process has it.

    It then says who that is. Raises OSError where it cannot be opened, or the file system knows neither lock.
    """
    handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    try:
        if not _locked(handle):
            os.close(handle)
            return None
        os.ftruncate(handle, 0)
        os.write(handle, f"process {os.getpid()} on {socket.gethostname()}\n".encode())
    except BaseException:
        os.close(handle)
        raise
    return handle


def is_taken(file: Path) -> bool:
    """Whether a process holds a file. Nothing is taken; what must not be opened may well be held."""
    try:
        handle = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except PermissionError:
        return True
    except OSError:
        return False
    try:
        return _kind(fcntl.fcntl(handle, _ASK, _lock(fcntl.F_WRLCK))) != fcntl.F_UNLCK
    except OSError:
        return False
    finally:
        os.close(handle)


def holder(file: Path) -> str:
    """Who holds a file that is taken, such as `process 4242 on gpu7`; empty where it does not say."""
    try:
        return file.read_bytes()[:200].decode("utf-8", "replace").strip()
    except OSError:
        return ""


def _locked(handle: int) -> bool:
    """Whether it could be locked, in all ways that its file system knows."""
    known, fault = False, OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))
    for lock in (_first, _second):
        try:
            known |= lock(handle)
        except OSError as error:
            if error.errno in _HELD:
                return False
            if error.errno not in _UNKNOWN:
                raise
            fault = error
    if not known:
        raise fault
    return True


def _first(handle: int) -> bool:
    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return True


def _second(handle: int) -> bool:
    if _SECOND is not None:
        fcntl.fcntl(handle, _SECOND, _lock(fcntl.F_WRLCK))
    return _SECOND is not None


def _lock(kind: int) -> bytes:
    """Of the whole file."""
    fields = (kind, os.SEEK_SET, 0, 0, 0)
    return struct.pack(_FORM, *(fields if _FORM[0] == "h" else (0, 0, 0, kind, os.SEEK_SET)))


def _kind(lock: bytes) -> int:
    return int(struct.unpack(_FORM, lock)[0 if _FORM[0] == "h" else 3])
