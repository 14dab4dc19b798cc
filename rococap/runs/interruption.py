"""Signals that ask a run to end: it keeps what it has, says how to go on, and ends with the customary exit code."""

from __future__ import annotations

import functools
import logging
import os
import shlex
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from hydra.conf import HydraConf
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from rococap.cli import Interrupted, printable, user_errors
from rococap.processes.identity import this_process
from rococap.types import UserError

# A cluster announces the end of a job's time by one of the user's signals, a closed terminal by SIGHUP.
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP)
_AGAIN = 1.0  # seconds in which whoever started several processes may hand on what they all got already

log = logging.getLogger(__name__)


@dataclass
class _State:
    asked: int | None = None  # the first signal that came
    at: float = 0.0
    held: bool = False
    owner: int = 0  # the process that listens: those that it forks, such as workers of a loader, end with it


_here = _State()
_mine: set[int] = set()


def listen() -> None:
    """Take the signals that ask for the end, but for those that somebody else cares for, such as a cluster's launcher.

    Given again it takes back those that were its own: Lightning puts a handler of its own before ours.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    _here.owner = os.getpid()
    for number in _SIGNALS:
        if number in _mine or signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
            signal.signal(number, _take)
            _mine.add(number)


def hold() -> None:
    """From here on a signal is only noted: what is done now must not be torn, and asks for it by `asked`."""
    _here.held = True


def release() -> None:
    """From here on a signal ends what is done at once; raises Interrupted where one came meanwhile."""
    _here.held = False
    if _here.asked is not None:
        raise Interrupted(_here.asked)


def asked() -> int | None:
    """The signal that came while they were held."""
    return _here.asked


def _take(number: int, frame: FrameType | None) -> None:
    if os.getpid() != _here.owner:
        return  # Ctrl-C comes to all of a terminal's processes, and a step that is going on still needs its workers
    now = time.monotonic()
    if _here.asked is None:
        _here.asked, _here.at = number, now
        if not _here.held:
            raise Interrupted(number)
        if not this_process().helps:
            os.write(2, f"\n{signal.Signals(number).name}: ends after this step; Ctrl-C leaves at once\n".encode())
    elif number == signal.SIGINT and (this_process().count == 1 or now - _here.at > _AGAIN):
        signal.signal(number, signal.SIG_DFL)  # a second Ctrl-C leaves at once
        os.kill(os.getpid(), number)


def guarded(task: Callable[[DictConfig], float]) -> Callable[[DictConfig], float]:
    """Wrap what hydra.main calls: a job that fails does not end the sweep, it gives NaN; its folder says why."""

    @functools.wraps(task)
    def run(cfg: DictConfig) -> float:
        hydra = HydraConfig.get()
        listen()
        if hydra.mode == RunMode.RUN:
            log.info("to go on after an interruption: %s", continue_command(hydra))
            with user_errors(), going_on(hydra):
                return task(cfg)
        try:
            return task(cfg)
        except UserError as error:
            print(f"error in job {hydra.job.num}: {printable(error)}", file=sys.stderr)
        except Exception:
            traceback.print_exc()
        return float("nan")

    return run


@contextmanager
def going_on(hydra: HydraConf) -> Iterator[None]:
    """End the process where a signal asked for it, saying how to go on with the run or the sweep."""
    try:
        yield
    except (Interrupted, KeyboardInterrupt) as error:
        stop = error if isinstance(error, Interrupted) else Interrupted(signal.SIGINT)
        if not this_process().helps:
            print(f"interrupted by {stop}; to go on: {continue_command(hydra)}", file=sys.stderr)
        sys.exit(stop.exit_code)


def continue_command(hydra: HydraConf) -> str:
    """The command line that goes on with the run, or the sweep, that is going on in this process."""
    words = list(sys.argv)
    keys = ("name=", "hydra.run.dir=", "hydra.sweep.dir=")
    if not any(word.lstrip("+").startswith(keys) for word in words):
        sweep = hydra.mode == RunMode.MULTIRUN
        folder = Path(os.path.relpath(hydra.sweep.dir if sweep else hydra.run.dir))
        inside = folder.parts[:1] == ("multirun",)
        key = "name" if inside else f"hydra.{'sweep' if sweep else 'run'}.dir"
        # Beside the other settings: argparse takes them in one row only, and a flag may follow them.
        last = max((i for i, word in enumerate(words) if "=" in word and word[0] != "-"), default=len(words) - 1)
        words.insert(last + 1, f"{key}={folder.relative_to('multirun') if inside else folder}")
    return shlex.join([*_starter(), *words])


def _starter() -> list[str]:
    """What stands before the words: of torchrun's own options only the number of processes is known here."""
    process = this_process()
    if process.starter == "torchrun":
        many = [f"--nnodes={process.machines}"] if process.machines > 1 else []
        return ["torchrun", *many, f"--nproc_per_node={process.on_machine}"]
    return ["srun", "python"] if process.starter == "SLURM" else ["python"]
