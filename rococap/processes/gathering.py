"""Second zero of a run's processes: those that are there meet, those that are missing are started."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, open_dict

from rococap.processes.group import meet, met
from rococap.processes.identity import OWN, Process, this_process
from rococap.processes.meeting import Meeting
from rococap.processes.starting import end_with_starter, listen, start_helpers
from rococap.types import UserError

_OF_MACHINE = ("auto", -1, "-1")  # values of trainer.devices that leave it to the machine how many there are


def arrive(config: DictConfig) -> Process:
    """Which process of the run this is, once those that were started by others have met.

    `trainer.devices` and `trainer.num_nodes` are set to what there is.

    Raises:
        UserError: the recipe wants others than were started, or they do not meet.
    """
    process, trainer = this_process(), config.trainer
    if process.starter in {OWN, "torchrun"}:
        end_with_starter(process.starter == OWN)
    if os.environ.get("TORCHELASTIC_MAX_RESTARTS", "0") != "0" and "${now:" in str(config._get_node("name")):
        raise UserError("torchrun would start the run again from nothing: give it a name, such as name=first.")
    if process.count == 1:
        with open_dict(config):
            trainer.devices = _resolved(trainer.devices, trainer.accelerator)
        if trainer.num_nodes == 1:
            return process
        process = _first_of_machine(number_of(trainer.devices), trainer.num_nodes)
    meet(meeting := Meeting.of(process))
    try:
        _as_started(trainer, process)
    except UserError:
        if not process.helps:
            meeting.dismiss(1)
            raise
    return process


def folder_of_helper() -> Path:
    """The run's folder, as process 0 tells it; ends the process where that has refused the run, or has finished it."""
    meeting = met()
    assert meeting is not None
    return meeting.told()


@contextmanager
def helpers_told(config: DictConfig) -> Iterator[Callable[[Path], None]]:
    """In process 0, while it settles the run's folder: gives what is then called with it. Nobody waits in vain.

    Where no other process is there yet, and the recipe wants some, they are started by that call.
    """

    def tell(folder: Path) -> None:
        number = number_of(config.trainer.devices)
        if met() is None and number > 1:
            port = os.environ.get("MASTER_PORT", "0")
            listening = listen("127.0.0.1", int(port) if port.isdigit() else 0)
            start_helpers(0, number, number, "127.0.0.1", listening.getsockname()[1])
            meet(Meeting.of(this_process(), listening))
        if (meeting := met()) is not None:
            meeting.tell(folder)

    try:
        yield tell
    except BaseException as error:
        if (meeting := met()) is not None:
            meeting.dismiss(0 if isinstance(error, SystemExit) and not error.code else 1)
        raise


def _as_started(trainer: DictConfig, process: Process) -> None:
    for key, there in (("devices", process.on_machine), ("num_nodes", process.machines)):
        if trainer[key] in (1, *_OF_MACHINE):  # nothing was asked for
            with open_dict(trainer):
                trainer[key] = there
        elif number_of(trainer[key]) != there:
            raise UserError(
                f"trainer.{key}={trainer[key]}, but {process.starter} started {process.count} processes on "
                f"{process.machines} machine{'s' * (process.machines > 1)}. Leave trainer.{key} out, or start as many."
            )


def _first_of_machine(number: int, machines: int) -> Process:
    """Start the others of this machine, of several on each of which a user gives the same command."""
    if not {"MASTER_ADDR", "MASTER_PORT", "NODE_RANK"} <= os.environ.keys():
        raise UserError(
            f"trainer.num_nodes={machines}: start the run with torchrun or srun, as the README says, or on each "
            "machine with MASTER_ADDR, MASTER_PORT and NODE_RANK."
        )
    address, port, machine = (os.environ[name] for name in ("MASTER_ADDR", "MASTER_PORT", "NODE_RANK"))
    if not port.isdigit() or not machine.isdigit() or int(machine) >= machines:
        raise UserError(
            f"MASTER_PORT={port} must be a number, and NODE_RANK={machine} one of 0 to {machines - 1}, for "
            f"trainer.num_nodes={machines}."
        )
    os.environ |= {"GROUP_WORLD_SIZE": str(machines), "GROUP_RANK": machine}
    start_helpers(int(machine) * number, number, number * machines, address, int(port))
    return this_process()


def _resolved(devices: Any, accelerator: str) -> Any:
    """`trainer.devices`, where it is left to the machine as many as that has."""
    if devices not in _OF_MACHINE:
        return devices
    if accelerator == "cpu":
        return 1
    import torch

    return max(1, torch.cuda.device_count())


def number_of(devices: Any) -> int:
    """How many `trainer.devices` are: a number, or a list that names each."""
    if isinstance(devices, str):
        return int(devices) if devices.isdigit() else len(devices.strip(",").split(","))
    return devices if isinstance(devices, int) else len(devices)
