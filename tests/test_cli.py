import io
import logging
import re
import subprocess
import sys
import textwrap

import pytest
from rich.table import Table

from rococap.cli import LiveHandler, Terminal, printable, user_errors
from rococap.types import UserError

SCRIPT = """
    import os, signal, sys
    import hydra
    from rococap.cli import guarded, user_errors
    from rococap.types import UserError

    @hydra.main(config_path=".", config_name="program", version_base="1.3")
    @guarded
    def main(cfg):
        print("start", cfg.do, flush=True)
        if cfg.do == "mistake":
            raise UserError("the data is not there")
        if cfg.do == "bug":
            raise RuntimeError("a bug of ours")
        if cfg.do == "interrupt":
            os.kill(os.getpid(), signal.SIGINT)
        if cfg.do == "lightning":
            try:
                os.kill(os.getpid(), signal.SIGINT)
            except KeyboardInterrupt:
                sys.exit(1)
        return 0.5

    if __name__ == "__main__":
        with user_errors():
            main()
"""


@pytest.fixture
def command(tmp_path):
    """Runs a small Hydra program that is guarded as train.py is."""
    (tmp_path / "program.py").write_text(textwrap.dedent(SCRIPT))
    (tmp_path / "program.yaml").write_text("hydra: {run: {dir: multirun/a/run}, sweep: {dir: multirun/a/sweep}}\n")

    def run(*words):
        line = [sys.executable, "program.py", *words]
        return subprocess.run(line, cwd=tmp_path, capture_output=True, text=True)

    return run


def test_a_good_run(command):
    done = command("+do=nothing")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_users_mistake_is_shown_without_traceback(command):
    done = command("+do=mistake")
    assert (done.returncode, done.stderr) == (2, "error: the data is not there\n")


def test_a_bug_keeps_its_traceback(command):
    done = command("+do=bug")
    assert done.returncode == 1
    assert "Traceback" in done.stderr and "a bug of ours" in done.stderr


@pytest.mark.parametrize("how", ["interrupt", "lightning"])
@pytest.mark.parametrize(
    ("given", "added"),
    [
        ("+seed=3", " name=a/run"),
        ("+name=mine", ""),
        ("hydra.run.dir=other", ""),
    ],
)
def test_an_interrupted_run_says_how_to_go_on(command, how, given, added):
    done = command(f"+do={how}", given)
    assert done.returncode == 130
    assert done.stderr == f"interrupted; to go on: python program.py +do={how} {given}{added}\n"


def test_a_job_that_fails_does_not_end_a_sweep(command):
    done = command("-m", "+do=mistake,first,bug,last")
    assert done.returncode == 0  # a sweeper of ours says what failed: tests/test_sweep.py
    started = [line for line in done.stdout.splitlines() if line.startswith("start")]
    assert started == ["start mistake", "start first", "start bug", "start last"]
    assert "error in job 0: the data is not there" in done.stderr
    assert "RuntimeError: a bug of ours" in done.stderr


def test_the_name_is_added_before_a_flag_that_follows(command):
    done = command("+do=interrupt", "--run")
    assert done.stderr == "interrupted; to go on: python program.py +do=interrupt name=a/run --run\n"


@pytest.mark.parametrize("how", ["interrupt", "lightning"])
def test_an_interruption_ends_a_sweep(command, how):
    done = command("-m", f"+do={how},last")
    assert (done.returncode, done.stderr) == (130, "interrupted\n")
    assert "start last" not in done.stdout


def test_the_log_goes_where_standard_output_goes_at_that_moment(monkeypatch, capsys):
    handler = LiveHandler(sys.stderr)
    bar = io.StringIO()
    monkeypatch.setattr(sys, "stdout", bar)  # as a progress bar does while it is shown
    handler.emit(logging.LogRecord("a", logging.INFO, "", 0, "epoch 1", None, None))
    assert bar.getvalue() == "epoch 1\n" and capsys.readouterr().err == ""


EVIL = "[red]x[/] [/] :smile: \x1b[31m\x1b]0;title\x07 \x9b2J \u202egnp.exe \r\x08 \ud800 [link=http://evil]y[/link]"
SAID = "[red]x[/] [/] :smile: \\x1b[31m\\x1b]0;title\\x07 \\x9b2J \\u202egnp.exe \\r\\x08 \\ud800 [link=http://evil]y[/link]"


def test_text_is_text_to_a_terminal():
    file = io.StringIO()
    console = Terminal(file=file, width=300, force_terminal=True, color_system="truecolor")
    table = Table(EVIL, title=EVIL, caption=EVIL)
    table.add_row(EVIL)
    console.print(EVIL)
    console.print(table)
    console.print(EVIL, EVIL, sep="\n", style="bold")
    plain = re.sub(r"\x1b\[[\d;]*m", "", file.getvalue())  # the styles that are ours
    assert plain.count(SAID) == 7 and not set("\x1b\x07\x08\x9b\u202e\r\ud800") & set(plain)
    assert printable("a\tb\nc \N{NO-BREAK SPACE}ü漢 é\u200d") == "a\tb\nc \N{NO-BREAK SPACE}ü漢 é\u200d"


def test_what_is_logged_and_what_is_refused_is_text_too(capsys):
    handler = LiveHandler()
    handler.emit(logging.LogRecord("a", logging.INFO, "", 0, "caption %s", (EVIL,), None))
    with pytest.raises(SystemExit), user_errors():
        raise UserError(f"{EVIL} is no caption.\nTake another.")
    said = capsys.readouterr()
    assert said.out == f"caption {SAID}\n" and said.err == f"error: {SAID} is no caption.\nTake another.\n"
