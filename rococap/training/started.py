"""What Lightning asks of who started a run's processes, answered from what is known since second zero."""

from __future__ import annotations

from lightning_fabric.plugins.environments.cluster_environment import ClusterEnvironment

from rococap.processes.identity import Process
from rococap.processes.meeting import place


class Started(ClusterEnvironment):
    """Processes that are there: Lightning starts none, asks no cluster, and queues no job again."""

    def __init__(self, process: Process) -> None:
        super().__init__()
        self._process = process

    @property
    def creates_processes_externally(self) -> bool:
        return True

    @property
    def main_address(self) -> str:
        return place(self._process)[0]

    @property
    def main_port(self) -> int:
        return place(self._process)[1]

    @staticmethod
    def detect() -> bool:
        return False  # it is handed to the Trainer

    def world_size(self) -> int:
        return self._process.count

    def set_world_size(self, size: int) -> None:
        """It is as it is."""

    def global_rank(self) -> int:
        return self._process.rank

    def set_global_rank(self, rank: int) -> None:
        """It is as it is."""

    def local_rank(self) -> int:
        return self._process.local_rank

    def node_rank(self) -> int:
        return self._process.machine
