"""Where the processes of a run meet at second zero: they see that all have come, and are told the run's folder."""

from __future__ import annotations

import json
import os
import socket
import sys
import time
import uuid
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rococap.processes import starting
from rococap.processes.identity import OWN, Process
from rococap.types import UserError

if TYPE_CHECKING:
    from torch.distributed.distributed_c10d import Store

PATIENCE = timedelta(minutes=5)  # for a process that is still being started, from a cold disk perhaps
_SEEN = 5.0  # seconds until a file that one machine has made is seen on another, over NFS


class Meeting:
    """What processes have before torch.distributed is set up: a store at process 0."""

    def __init__(self, process: Process, store: Store) -> None:
        self.process, self.store = process, store

    @staticmethod
    def of(process: Process, listening: socket.socket | None = None, patience: timedelta = PATIENCE) -> Meeting:
        """Go to where the processes meet; returns when all have come.

        Args:
            listening: in process 0, a place that others were told of already.

        Raises:
            UserError: another program has the port, or some do not come.
        """
        os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "FATAL")  # errors come out as exceptions, and are said once
        from torch._C._distributed_c10d import TCPStore
        from torch.distributed import DistError
        from torch.distributed.distributed_c10d import PrefixStore

        address, port = place(process)
        with_agent = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
        options: dict[str, Any] = {"timeout": patience, "wait_for_workers": False}
        if process.rank == 0 and not with_agent:
            held = listening or starting.listen(address, port)
            options |= {"is_master": True, "master_listen_fd": held.detach()}
        try:
            tried = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
            meeting = Meeting(process, PrefixStore(f"rococap/{tried}", TCPStore(address, port, **options)))
            meeting.store.set(f"here/{process.rank}", socket.gethostname())
        except DistError as error:
            raise UserError(
                f"Process 0 does not answer at {address}, port {port} ({_short(error)}): did it end, or is another "
                "program there?\nMASTER_ADDR and MASTER_PORT say where it is."
            ) from None
        meeting._wait_for_all("here", patience)
        return meeting

    def _wait_for_all(self, what: str, patience: timedelta) -> None:
        names = [f"{what}/{rank}" for rank in range(self.process.count)]
        end = time.monotonic() + patience.total_seconds()
        while time.monotonic() < end:
            if self._has(names, min(1.0, patience.total_seconds())):
                return
            if fault := starting.lost():
                raise UserError(f"{fault}: what it said stands above.")
        missing = [str(rank) for rank, name in enumerate(names) if not self.store.check([name])]
        raise UserError(
            f"{self.process.starter} says that {self.process.count} processes work on this run; after "
            f"{patience.total_seconds():.0f} s {', '.join(missing)} did not come.\nStart all of them (srun python "
            "train.py ..., or torchrun), or one alone."
        )

    def _has(self, names: Sequence[str], seconds: float) -> bool:
        from torch.distributed import DistNetworkError, DistStoreError

        try:
            self.store.wait(list(names), timedelta(seconds=seconds))
        except DistNetworkError:
            raise UserError("Process 0 of this run has ended: what it said stands above.") from None
        except (DistStoreError, RuntimeError):
            return False
        return True

    def tell(self, folder: Path) -> None:
        """In process 0: tell the others the run's folder.

        Raises:
            UserError: another machine has another folder of that name, or none.
        """
        folder = folder.resolve()
        mark = folder / f".meeting-{uuid.uuid4().hex}.tmp"
        mark.touch()
        try:
            self.store.set("folder", json.dumps({"path": str(folder), "mark": mark.name}))
            elsewhere = self._wait_for_all_seen()
        finally:
            mark.unlink()
        if elsewhere:
            raise UserError(
                f"{folder} is not the same folder on {', '.join(elsewhere)} as on {socket.gethostname()}: put the run "
                "where all machines see it, with hydra.run.dir=DIR."
            )

    def dismiss(self, code: int) -> None:
        """In process 0: tell the others that there is nothing to do for them, and their exit code."""
        self.store.set("folder", json.dumps({"exit": code}))
        with suppress(UserError):
            self._wait_for_all_seen()

    def _wait_for_all_seen(self) -> list[str]:
        """The machines that do not see the folder, once all processes have looked."""
        self.store.set("seen/0", "1")
        self._wait_for_all("seen", PATIENCE)
        ranks = range(self.process.count)
        blind = [rank for rank in ranks if self.store.get(f"seen/{rank}") == b"0"]
        return list(dict.fromkeys(self.store.get(f"here/{rank}").decode() for rank in blind))

    def told(self) -> Path:
        """In the others: the run's folder, as process 0 tells it; ends this process where there is nothing to do."""
        while not self._has(["folder"], 60.0):
            pass
        answer = json.loads(self.store.get("folder"))
        there = "exit" in answer or _appears(Path(answer["path"]), answer["mark"])
        self.store.set(f"seen/{self.process.rank}", "1" if there else "0")
        if "exit" in answer or not there:
            sys.exit(answer.get("exit", 1))
        return Path(answer["path"])


def place(process: Process) -> tuple[str, int]:
    """Where the processes meet: address and port of the first.

    Raises:
        UserError: nothing says where that is.
    """
    address, port = os.environ.get("MASTER_ADDR"), os.environ.get("MASTER_PORT")
    if process.starter == "SLURM":
        from lightning_fabric.plugins.environments.slurm import SLURMEnvironment

        nodes = os.environ.get("SLURM_STEP_NODELIST") or os.environ.get("SLURM_JOB_NODELIST") or "127.0.0.1"
        first = SLURMEnvironment.resolve_root_node_address(nodes)
        address = address or ("127.0.0.1" if process.machines == 1 else first)
        job, step = (int(os.environ.get(name, 0)) for name in ("SLURM_JOB_ID", "SLURM_STEP_ID"))
        port = port or str(20_000 + (job + 97 * step) % 10_000)
    elif process.machines == 1 and process.starter != OWN:
        address = address or "127.0.0.1"
    if not address or not (port or "").isdigit():
        raise UserError(
            f"{process.starter} started {process.count} processes, but nothing says where they meet: set MASTER_ADDR "
            "and MASTER_PORT to a machine and a free port of it."
        )
    return address, int(port or 0)


def _appears(folder: Path, name: str) -> bool:
    end = time.monotonic() + _SEEN
    while time.monotonic() < end:
        with suppress(OSError):
            if name in os.listdir(folder):
                return True
        time.sleep(0.1)
    return False


def _short(error: Exception) -> str:
    return str(error).splitlines()[0].rstrip(".")
