"""The processes of a run at work: they wait for each other, and share what they found."""

from __future__ import annotations

import logging
import os
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rococap.processes import starting
from rococap.processes.identity import Process
from rococap.processes.meeting import Meeting
from rococap.types import UserError

if TYPE_CHECKING:
    import torch
    from torch.distributed import ProcessGroup

# For one that prepares data while others wait. One that was killed is noticed at once: its connections close.
_LONGEST = timedelta(hours=24)
# What torch's own errors and those of its transports say where another process is gone.
_LOST = ("gloo", "nccl", "connection closed", "connection reset", "broken pipe", "failed to recv", "socket")


class Group:
    """The processes of a run at work; one that is alone is such a group too."""

    def __init__(self, process: Process, patient: ProcessGroup | None = None) -> None:
        self.process, self._patient = process, patient

    @property
    def rank(self) -> int:
        """This process's number."""
        return self.process.rank

    @property
    def count(self) -> int:
        """How many there are."""
        return self.process.count

    def gathered(self, value: Any) -> list[Any]:
        """What each process gives here, by rank; all wait for the last. Plain values only."""
        if self.count == 1:
            return [value]
        from torch.distributed import all_gather_object

        values: list[Any] = [None] * self.count
        all_gather_object(values, value, group=self._patient)
        return values

    def wait(self) -> None:
        """Until all are here."""
        self.gathered(None)

    @contextmanager
    def first(self) -> Iterator[None]:
        """What process 0 does before the others do it: they find it done."""
        if self.rank > 0:
            self.wait()
        yield
        if self.rank == 0:
            self.wait()

    def together(self, folder: Path) -> list[int]:
        """The ranks that see the same folder under this name: on machines with disks of their own some do not."""
        if self.count == 1:
            return [0]
        token = self.gathered(uuid.uuid4().hex)[0]
        mark = folder / f"{token}-{self.rank}.tmp"
        mark.touch()
        self.wait()
        ranks = sorted(int(file.stem.rpartition("-")[2]) for file in folder.glob(f"{token}-*.tmp"))
        self.wait()
        mark.unlink(missing_ok=True)  # who writes there clears such files away
        return ranks


@dataclass
class _State:
    meeting: Meeting | None = None
    group: Group | None = None


_here = _State()


def meet(meeting: Meeting) -> None:
    """Keep where this process meets the others, until they begin to work."""
    _here.meeting = meeting


def met() -> Meeting | None:
    """Where this process met the others; None for one that is alone."""
    return _here.meeting


def group() -> Group:
    """The processes that work on the run of this one."""
    return _here.group or Group(Process())


def part() -> None:
    """Go on alone, each of them: what is left is not shared out."""
    if _here.group is not None:
        from torch import distributed

        starting.done()
        distributed.destroy_process_group()
        _here.group = None


def set_up(device: str, devices: Any) -> Group:
    """Let the processes talk by torch.distributed, which Lightning then finds set up.

    Args:
        device: cpu, cuda or mps.
        devices: `trainer.devices`: their number, or that of each.

    Raises:
        UserError: this machine has fewer GPUs than processes.
    """
    if _here.meeting is None or _here.group is not None:
        return group()
    import torch
    from torch import distributed
    from torch.distributed.distributed_c10d import PrefixStore

    process = _here.meeting.process
    own = _own_gpu(process, devices) if device == "cuda" else None
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, torch.get_num_threads() // process.on_machine))
    # As Lightning would set them up; it leaves alone what is there.
    distributed.init_process_group(
        "gloo" if own is None else "nccl",
        store=PrefixStore("group", _here.meeting.store),
        rank=process.rank,
        world_size=process.count,
        device_id=own,
    )
    patient = distributed.new_group(backend="gloo", timeout=_LONGEST)
    _here.group = Group(process, patient)
    return _here.group


def _own_gpu(process: Process, devices: Any) -> torch.device:
    import torch

    named = devices.strip(",").split(",") if isinstance(devices, str) and "," in devices else devices
    number = process.local_rank if isinstance(named, int | str) else int(named[process.local_rank])
    if number >= torch.cuda.device_count():
        raise UserError(
            f"trainer.devices={devices}, but this process sees {torch.cuda.device_count()} GPUs. Take fewer, or let "
            "each task see all of its machine's (of SLURM: --gpus-per-node, not --gpus-per-task)."
        )
    torch.cuda.set_device(number)
    return torch.device("cuda", number)


@contextmanager
def at_work() -> Iterator[None]:
    """Say in a line that another process of the run has ended, where this one fails because of that."""
    try:
        yield
    except RuntimeError as error:
        if group().count == 1 or not any(word in str(error).lower() for word in _LOST):
            raise
        logging.getLogger(__name__).debug("lost: %s", error)
        time.sleep(1.0)  # it may take a moment until it has ended
        fault = starting.lost() or "Another process of this run ended"
        raise UserError(
            f"{fault}, and the others with it; what it said stands above. The same command goes on."
        ) from None
