import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import ClassVar

import pytest

from rococap.metrics import java, meteor
from rococap.metrics.meteor import Meteor
from rococap.types import UserError

PAIR = (["a chest x-ray"], [["a chest radiograph"]])


@pytest.fixture
def started(monkeypatch):
    """The Java processes that a test starts, METEOR's included; a test may set `on_start`."""

    class Recorded(subprocess.Popen):
        every: ClassVar = []
        on_start: ClassVar = staticmethod(lambda process: None)

        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            self.every.append(self)
            self.on_start(self)

    # METEOR without its tables of synonyms and paraphrases starts at once.
    quick = [*meteor._new_server()._arguments, "-m", "exact"]
    monkeypatch.setattr(meteor, "_new_server", lambda: java.LineServer(*quick))
    meteor._server().close()
    meteor._server.cache_clear()
    monkeypatch.setattr(subprocess, "Popen", Recorded)
    yield Recorded
    meteor._server().close()
    meteor._server.cache_clear()
    assert all(process.poll() is not None for process in Recorded.every)


def servers(started):
    return [process for process in started.every if "-jar" in process.args]


def test_one_java_serves_all_scorings(started):
    first, second = Meteor()(*PAIR), Meteor()(*PAIR)
    assert first.corpus == second.corpus
    assert len(servers(started)) == 1


def test_a_java_killed_while_scoring_is_an_error_that_says_so(started):
    started.on_start = staticmethod(lambda process: "-jar" in process.args and process.kill())
    with pytest.raises(UserError, match=r"Java was killed while scoring \(signal 9\)"):
        Meteor()(*PAIR)
    started.on_start = staticmethod(lambda process: None)
    assert Meteor()(*PAIR).corpus["meteor"] > 0


def test_a_java_killed_between_two_scorings_is_started_again(started, caplog):
    before = Meteor()(*PAIR)
    servers(started)[0].kill()
    servers(started)[0].wait()
    with caplog.at_level(logging.WARNING):
        assert Meteor()(*PAIR).corpus == before.corpus
    assert "starting it again" in caplog.text
    assert len(servers(started)) == 2


def test_a_stalled_java_is_stopped(started, tmp_path):
    started.on_start = staticmethod(lambda process: process.send_signal(signal.SIGSTOP))
    for stalled in (
        lambda: java.run(["-version"], tmp_path, patience=0.0),
        lambda: meteor._server().ask(["SCORE ||| a ||| a"], patience=0.2),
    ):
        with pytest.raises(UserError, match="wrote nothing for 0 s"):
            stalled()
        assert started.every[-1].poll() == -signal.SIGKILL


def test_many_lines_are_shared_out_in_order(started, monkeypatch):
    lines = [f"SCORE ||| {'a ' * n}||| {'a ' * n}" for n in range(1, 10)]
    alone = meteor._ask(lines)
    monkeypatch.setattr(meteor, "_SHARE", 3)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    assert meteor._ask(lines) == alone
    assert [process.poll() for process in servers(started)] == [None, -signal.SIGKILL]


def test_a_failing_java_gives_its_own_words(tmp_path):
    with pytest.raises(UserError, match=r"exit code 1.*NoSuchProgram"):
        java.run(["NoSuchProgram"], tmp_path)
    with pytest.raises(UserError, match=r"exit code 1.*NoSuchProgram"):
        java.LineServer("NoSuchProgram").ask(["a"])


def test_the_users_own_java_plays_no_part(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("JAVA_HOME", "/nowhere")
    monkeypatch.setenv("JAVA_TOOL_OPTIONS", "-Xnonsense")
    java.require_java()
    java.run(["-version"], tmp_path)
    assert "OpenJDK" in (tmp_path / "log").read_text()


def test_answers_that_do_not_fit_the_questions_are_refused(monkeypatch):
    monkeypatch.setattr(meteor, "_ask", lambda lines: ["1 2 3"] * len(lines))
    with pytest.raises(RuntimeError, match="METEOR answered 2 lines"):
        Meteor()(["a", "b"], [["a"], ["b"]])


@pytest.mark.parametrize("end", ["kill", "exit"])
def test_java_ends_with_the_process_that_started_it(end):
    """Killed while METEOR has lines for a minute, and the only one who could stop it is gone; or at its own end."""
    code = (
        "from rococap.metrics import java, meteor\n"
        "server = java.LineServer(*meteor._new_server()._arguments, '-m', 'exact')\n"
        "print(server.start().pid, flush=True)\n"
        f"count = {3_000_000 if end == 'kill' else 1}\n"
        "server.ask(['SCORE ||| an axial ct of the chest ||| a ct of the head'] * count)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    pid = int(parent.stdout.readline())
    assert Path(f"/proc/{pid}").exists()
    if end == "kill":
        time.sleep(0.5)
        parent.kill()
    parent.communicate()
    for _ in range(60):
        if not Path(f"/proc/{pid}").exists():
            return
        time.sleep(0.5)
    os.kill(pid, signal.SIGKILL)
    pytest.fail("Java outlived its parent by 30 s")
