"""Which of a run's processes this is, read from what torchrun, SLURM, MPI or this program tells those it starts."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from rococap.types import UserError

ALONE = ""
OWN = "rococap"  # started by the run's first process on this machine, see `starting`


@dataclass(frozen=True)
class Process:
    """One of the processes that work on a run together.

    Attributes:
        rank: its number among all of them; 0 has the run's folder, and is the only one that writes there.
        count: of all of them.
        local_rank: its number among those of this machine.
        machine, machines: the number of this machine, and how many there are.
        starter: torchrun, SLURM, MPI, rococap, the user; empty where the process is alone.
    """

    rank: int = 0
    count: int = 1
    local_rank: int = 0
    machine: int = 0
    machines: int = 1
    starter: str = ALONE

    @property
    def helps(self) -> bool:
        """Whether another process has the run's folder."""
        return self.rank > 0

    @property
    def on_machine(self) -> int:
        """Processes on each machine."""
        return self.count // self.machines


def this_process(environment: Mapping[str, str] | None = None) -> Process:
    """Which process this is, by its environment.

    Raises:
        UserError: what was said there cannot be, or the machines have unequally many processes.
    """
    said = os.environ if environment is None else environment
    found = next(filter(None, (_by_torchrun(said), _by_slurm(said), _by_mpi(said))), Process())
    if found.count % found.machines or not 0 <= found.rank < found.count:
        raise UserError(
            f"{found.starter} says that this is process {found.rank} of {found.count} on {found.machines} machines: "
            "equally many are needed on each."
        )
    return found


def _by_torchrun(said: Mapping[str, str]) -> Process | None:
    """torchrun's words, which this program uses too; Lightning's own launcher and users leave some of them out."""
    if "LOCAL_RANK" not in said:
        return None  # RANK without it numbers machines or containers
    local = _number(said, "LOCAL_RANK")
    count = _number(said, "WORLD_SIZE", local + 1)
    machines = _number(said, "GROUP_WORLD_SIZE", 1)
    if "LOCAL_WORLD_SIZE" in said:
        machines = max(machines, -(-count // _number(said, "LOCAL_WORLD_SIZE")))
    machine = _number(said, "GROUP_RANK", _number(said, "NODE_RANK", 0))
    rank = _number(said, "RANK", machine * (count // machines) + local)
    own = said.get("ROCOCAP_STARTED") == "1"
    starter = "torchrun" if "TORCHELASTIC_RUN_ID" in said else OWN if own else "LOCAL_RANK"
    return Process(rank, count, local, machine, machines, starter)


def _by_slurm(said: Mapping[str, str]) -> Process | None:
    """A task of srun's. In a batch script, and in a shell on a node, the process is alone, however many were asked."""
    if "SLURM_PROCID" not in said:
        return None
    in_shell = "SLURM_PTY_PORT" in said
    unsure = said.get("SLURM_JOB_NAME") in {"bash", "interactive"}
    in_script = said.get("SLURM_GTIDS") == "0" and "SLURM_STEP_ID" not in said
    count = _number(said, "SLURM_STEP_NUM_TASKS", 1 if unsure or in_script else _number(said, "SLURM_NTASKS", 1))
    if in_shell or count == 1:
        return None
    machines = _number(said, "SLURM_STEP_NUM_NODES", _number(said, "SLURM_NNODES", 1))
    local, machine = _number(said, "SLURM_LOCALID", 0), _number(said, "SLURM_NODEID", 0)
    return Process(_number(said, "SLURM_PROCID"), count, local, machine, machines, "SLURM")


def _by_mpi(said: Mapping[str, str]) -> Process | None:
    """Open MPI's words, and those of MPICH and Intel MPI."""
    for rank, count, local, on_machine in (
        ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK", "OMPI_COMM_WORLD_LOCAL_SIZE"),
        ("PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID", "MPI_LOCALNRANKS"),
    ):
        if rank in said and (size := _number(said, count, 1)) > 1:
            each = _number(said, on_machine, size)
            number = _number(said, rank)
            return Process(number, size, _number(said, local, number), number // each, -(-size // each), "MPI")
    return None


def _number(said: Mapping[str, str], name: str, default: int | None = None) -> int:
    value = said.get(name, default)
    try:
        return int(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise UserError(f"The environment says {name}={value}, which is no number of a process.") from None
