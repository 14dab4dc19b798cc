"""The other processes of a run, started by its first one on a machine; all end together, whoever is the first to."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time

from rococap.types import UserError

_LOOK_EVERY = 0.5  # seconds
_GRACE = 20.0  # seconds in which a process that has lost another may end by itself, saying more than this can
_started: list[Helper] = []
_done = threading.Event()  # set where the helpers' work is done: how they end then concerns nobody


class Helper:
    """A process that this one has started: it ends when this one does, however that is."""

    def __init__(self, rank: int, local_rank: int) -> None:
        environment = {**os.environ, "RANK": str(rank), "LOCAL_RANK": str(local_rank)}
        environment.pop("PL_GLOBAL_SEED", None)
        # The pipe is never written to; it closes with this process, even by SIGKILL.
        command = [sys.executable, os.path.abspath(sys.argv[0]), *sys.argv[1:]]
        self.rank = rank
        self.process = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE)

    def fault(self) -> str | None:
        """How it ended, where that was not well; None as long as it works, and when it has done its work."""
        code = self.process.poll()
        if not code:
            return None
        how = f"by {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
        return f"Process {self.rank} ended {how}"


def start_helpers(first: int, number: int, count: int, address: str, port: int) -> None:
    """Start the other processes of this machine, which run the same command, and be the first of them.

    Args:
        first: rank of this process.
        number: processes on this machine.
        count: on all machines.
        address, port: where process 0 is met.
    """
    for name in [name for name in os.environ if name.startswith("TORCHELASTIC_")]:
        del os.environ[name]  # of a torchrun that started this one alone
    os.environ |= {
        "ROCOCAP_STARTED": "1", "WORLD_SIZE": str(count), "LOCAL_WORLD_SIZE": str(number), "RANK": str(first),
        "LOCAL_RANK": "0", "MASTER_ADDR": address, "MASTER_PORT": str(port),
    }  # fmt: skip
    _started.extend(Helper(first + place, place) for place in range(1, number))
    threading.Thread(target=_watch, daemon=True).start()


def lost() -> str | None:
    """Which of the processes that this one started has ended before its time, and how."""
    if _done.is_set():
        return None
    return next(filter(None, (helper.fault() for helper in _started)), None)


def done() -> None:
    """The processes that this one started have done their work."""
    _done.set()


def end_with_starter(own: bool) -> None:
    """End this process when the one that started it does, even by SIGKILL: nobody would restart or end it later.

    Args:
        own: that is a process of this run; its pipe is then closed.
    """
    starter = os.getppid()

    def wait() -> None:
        if own:
            os.read(sys.stdin.fileno(), 1)
        while not own and os.getppid() == starter:
            time.sleep(_LOOK_EVERY)
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def _watch() -> None:
    """A process that has lost another notices by itself where they next meet, unless it waits for a GPU."""
    while not (fault := lost()):
        if _done.wait(_LOOK_EVERY):
            return
    time.sleep(_GRACE)
    print(f"error: {fault}, and this one waits in vain for it. The same command goes on.", file=sys.stderr, flush=True)
    os._exit(1)


def listen(address: str, port: int) -> socket.socket:
    """A place where others can come to, held from here on; port 0 takes one that is free.

    Raises:
        UserError: another program has the port.
    """
    here = "127.0.0.1" if address in {"127.0.0.1", "localhost"} else ""
    both = not here and socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if both else socket.AF_INET
    try:
        return socket.create_server((here, port), family=family, dualstack_ipv6=both)
    except OSError as error:
        raise UserError(
            f"Port {port} of {socket.gethostname()}, where the processes of this run would meet, is taken "
            f"({error.strerror}). Choose another with MASTER_PORT=NUMBER, or end what has it."
        ) from error
