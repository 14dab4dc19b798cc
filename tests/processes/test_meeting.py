"""Where processes meet: real ones, on real ports, on machines that have disks of their own."""

import os
import socket
import subprocess
import sys
from contextlib import ExitStack

import pytest
from commands import ROOT

MEET = """
import sys
from datetime import timedelta
from pathlib import Path
from rococap.cli import user_errors
from rococap.processes.identity import this_process
from rococap.processes.meeting import Meeting

with user_errors():
    process = this_process()
    meeting = Meeting.of(process, patience=timedelta(seconds=float(sys.argv[2])))
    if process.helps:
        print(meeting.told())
    else:
        meeting.tell(Path(sys.argv[1]))
"""


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def begin(rank, port, folder, *, count=2, patience=60, before=()):
    variables = {"LOCAL_RANK": rank, "WORLD_SIZE": count, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **{name: str(value) for name, value in variables.items()}}
    words = [*before, sys.executable, "-c", MEET, str(folder), str(patience)]
    return subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_a_port_that_is_taken_and_processes_that_do_not_come_are_named(tmp_path):
    with socket.create_server(("", 0)) as taken, ExitStack() as stack:
        port = taken.getsockname()[1]
        started = [begin(0, port, tmp_path), *(begin(rank, free_port(), tmp_path, patience=2) for rank in (0, 1))]
        said = [stack.enter_context(process).communicate(timeout=100)[1] for process in started]
    assert f"Port {port}" in said[0] and "is taken" in said[0]
    assert "2 processes work on this run; after 2 s 1 did not come" in said[1]
    assert "Process 0 does not answer at 127.0.0.1, port" in said[2]
    assert [process.returncode for process in started] == [2, 2, 2]


def test_a_folder_that_another_machine_does_not_see_is_named(tmp_path):
    apart = ["unshare", "-rm", "sh", "-c", f'mount -t tmpfs none {tmp_path} && exec "$@"', "sh"]
    try:
        if subprocess.run([*apart, "true"], capture_output=True).returncode:
            pytest.skip("no process may mount a folder of its own here")
    except FileNotFoundError:
        pytest.skip("there is no unshare here")
    port = free_port()
    with begin(0, port, tmp_path) as first, begin(1, port, tmp_path, before=apart) as other:
        said = first.communicate(timeout=100)[1]
        other.communicate(timeout=100)
    assert f"{tmp_path} is not the same folder on {socket.gethostname()}" in said, said
    assert first.returncode == 2 and other.returncode == 1 and list(tmp_path.iterdir()) == []
