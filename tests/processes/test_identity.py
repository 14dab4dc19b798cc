"""Which process of a run this is, in the words of those who start processes."""

import pytest

from rococap.processes.identity import Process, this_process
from rococap.types import UserError

SLURM = {"SLURM_JOB_ID": "7", "SLURM_NTASKS": "4", "SLURM_PROCID": "3", "SLURM_LOCALID": "1", "SLURM_NODEID": "1"}
SLURM |= {"SLURM_NNODES": "2"}
STEP = {"SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": "2", "SLURM_STEP_NUM_NODES": "1", "SLURM_JOB_NAME": "interactive"}
TORCHRUN = {"RANK": "3", "LOCAL_RANK": "1", "WORLD_SIZE": "4", "GROUP_RANK": "1", "GROUP_WORLD_SIZE": "2"}
MPI = {"RANK": "5", "SIZE": "6", "LOCAL_RANK": "2", "LOCAL_SIZE": "3"}


@pytest.mark.parametrize(
    ("environment", "process"),
    [
        ({}, Process()),
        ({**TORCHRUN, "TORCHELASTIC_RUN_ID": "none"}, Process(3, 4, 1, 1, 2, "torchrun")),
        ({**SLURM, **TORCHRUN, "TORCHELASTIC_RUN_ID": "none"}, Process(3, 4, 1, 1, 2, "torchrun")),
        ({**TORCHRUN, "ROCOCAP_STARTED": "1"}, Process(3, 4, 1, 1, 2, "rococap")),
        ({"LOCAL_RANK": "1", "WORLD_SIZE": "2", "NODE_RANK": "0"}, Process(1, 2, 1, 0, 1, "LOCAL_RANK")),
        ({"RANK": "1", "WORLD_SIZE": "2"}, Process()),  # of containers, of which each starts its own
        (SLURM, Process(3, 4, 1, 1, 2, "SLURM")),
        ({**SLURM, "SLURM_NTASKS": "1", "SLURM_PROCID": "0"}, Process()),
        ({**SLURM, "SLURM_JOB_NAME": "bash"}, Process()),
        ({**SLURM, **STEP, "SLURM_PROCID": "1"}, Process(1, 2, 1, 1, 1, "SLURM")),  # srun in salloc's shell
        ({**SLURM, **STEP, "SLURM_PTY_PORT": "5", "SLURM_PROCID": "0"}, Process()),  # srun --pty bash
        ({**SLURM, "SLURM_PROCID": "0", "SLURM_GTIDS": "0"}, Process()),  # in sbatch's script, without srun
        ({f"OMPI_COMM_WORLD_{key}": value for key, value in MPI.items()}, Process(5, 6, 2, 1, 2, "MPI")),
        ({"PMI_RANK": "1", "PMI_SIZE": "2"}, Process(1, 2, 1, 0, 1, "MPI")),
    ],
)
def test_whoever_started_it(environment, process):
    assert this_process(environment) == process
    assert process.helps == (process.rank > 0)


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({**SLURM, "SLURM_NTASKS": "5"}, "SLURM says that this is process 3 of 5 on 2 machines: equally many"),
        ({"LOCAL_RANK": "one"}, "LOCAL_RANK=one, which is no number"),
        ({**TORCHRUN, "RANK": "4"}, "process 4 of 4"),
    ],
)
def test_what_cannot_be_is_refused(environment, said):
    with pytest.raises(UserError, match=said):
        this_process(environment)
