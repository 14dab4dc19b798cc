import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import ClassVar

import pytest

from rococap.metrics import java, meteor
from rococap.metrics.meteor import Meteor
from rococap.types import UserError


@pytest.fixture
def started(monkeypatch):
    """The Java processes that a test starts; a test may set `on_start`."""

    class Recorded(subprocess.Popen):
        every: ClassVar = []
        on_start: ClassVar = staticmethod(lambda process: None)

        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            self.every.append(self)
            self.on_start(self)

    monkeypatch.setattr(subprocess, "Popen", Recorded)
    return Recorded


def test_a_killed_java_is_an_error_that_says_so(started):
    def kill_meteor(process):
        if "-jar" in process.args:
            threading.Timer(0.5, process.send_signal, [signal.SIGKILL]).start()

    started.on_start = staticmethod(kill_meteor)
    with pytest.raises(UserError, match=r"Java was killed while scoring \(signal 9\)"):
        Meteor()(["a chest x-ray"], [["a chest radiograph"]])
    assert all(process.poll() is not None for process in started.every)


def test_a_stalled_java_is_stopped(started, tmp_path, monkeypatch):
    started.on_start = staticmethod(lambda process: process.send_signal(signal.SIGSTOP))
    with pytest.raises(UserError, match="wrote nothing for 0 s"):
        java.run(["-version"], tmp_path, patience=0.0)
    assert started.every[-1].poll() == -signal.SIGKILL


def test_a_failing_java_gives_its_own_words(tmp_path):
    with pytest.raises(UserError, match=r"exit code 1.*NoSuchProgram"):
        java.run(["NoSuchProgram"], tmp_path)


def test_the_users_own_java_plays_no_part(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("JAVA_HOME", "/nowhere")
    monkeypatch.setenv("JAVA_TOOL_OPTIONS", "-Xnonsense")
    java.check()
    java.run(["-version"], tmp_path)
    assert "OpenJDK" in (tmp_path / "log").read_text()


def test_answers_that_do_not_fit_the_questions_are_refused(monkeypatch):
    ask = meteor._ask
    monkeypatch.setattr(meteor, "_ask", lambda folder, lines: ask(folder, lines)[1:])
    with pytest.raises(RuntimeError, match="METEOR answered 2 lines"):
        Meteor()(["a", "b"], [["a"], ["b"]])


def test_java_ends_with_the_process_that_started_it(tmp_path):
    """As when a job is killed: METEOR has lines for a minute, and the only one who could stop it is gone."""
    lines = tmp_path / "lines"
    lines.write_text("SCORE ||| an axial ct of the chest ||| a ct of the head\n" * 300_000)
    code = (
        "import pathlib, subprocess, sys\n"
        "from rococap.metrics import meteor\n"
        "class Loud(subprocess.Popen):\n"
        "    def __init__(self, *a, **k):\n"
        "        super().__init__(*a, **k)\n"
        "        print(self.pid, flush=True)\n"
        "subprocess.Popen = Loud\n"
        f"meteor._ask(pathlib.Path({str(tmp_path)!r}), pathlib.Path({str(lines)!r}).read_text())\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    java_pid = int(parent.stdout.readline())
    parent.kill()
    parent.communicate()
    for _ in range(60):
        if not Path(f"/proc/{java_pid}").exists():
            break
        time.sleep(0.5)
    else:
        os.kill(java_pid, signal.SIGKILL)
        pytest.fail("Java outlived its parent by 30 s")
