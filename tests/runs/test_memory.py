"""Memory at its peak: a job's own, with what the processes that it starts hold."""

import os
import subprocess
import sys
import time

import pytest

from rococap.runs.memory import descendants, peak_memory, proportional, reset_peak_memory

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux measures anew, and its processes together")
HOLD = "held = bytearray(300 * 2**20); held[::2**12] = b'x' * len(held[::2**12]); print(flush=True); input()"


def test_the_peak_is_that_of_a_job_not_of_the_jobs_before_it():
    held = bytearray(400 * 2**20)
    held[:: 2**12] = b"x" * len(held[:: 2**12])  # touches each page
    high = peak_memory("cpu")["rss_mib"]
    assert high > 400
    del held
    assert peak_memory("cpu")["rss_mib"] > high - 10
    reset_peak_memory("cpu")
    assert peak_memory("cpu")["rss_mib"] < high - 300


def held():
    """MiB of this process and all that descend from it: pytest may have others."""
    return sum(map(proportional, [os.getpid(), *descendants(os.getpid())])) / 2**20


def test_processes_that_it_started_and_theirs_count_once_they_are_there():
    reset_peak_memory("cpu")
    before = held()
    inner = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {HOLD!r}])"
    with subprocess.Popen([sys.executable, "-c", inner], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        child.stdout.readline()
        assert proportional(child.pid) > 0
        deadline = time.monotonic() + 20
        while peak_memory("cpu")["rss_mib"] < before + 290 and time.monotonic() < deadline:
            time.sleep(0.05)
        child.communicate(b"\n")
    high = peak_memory("cpu")["rss_mib"]
    assert before + 290 < high
    reset_peak_memory("cpu")
    assert peak_memory("cpu")["rss_mib"] < high - 200
