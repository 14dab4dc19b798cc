"""Sides of a benchmark as processes of their own, so that neither warms, nor weighs on, the other."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from rich.console import Console

from rococap.types import UserError

console = Console(stderr=True)


def answer(what: str, arguments: Sequence[object]) -> dict[str, Any]:
    """Run Python with these arguments; the last line that it prints is JSON.

    Raises:
        UserError: it failed; with the last lines of what it said.
    """
    with console.status(f"{what} ..."):
        done = subprocess.run([sys.executable, *map(str, arguments)], capture_output=True, text=True)
    try:
        if done.returncode:
            raise ValueError(f"exit code {done.returncode}")
        found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    except (ValueError, IndexError) as error:
        said = "\n".join((done.stdout + done.stderr).strip().splitlines()[-4:])
        raise UserError(f"{what} failed ({error}); it said:\n{said}") from error
    return found
