"""`python train.py` as people type it, in processes of its own; what it trains is tested elsewhere."""

import subprocess
import sys
import textwrap

import pytest
from commands import ROOT, command


def train(*words, cwd):
    return command(ROOT / "train.py", *words, cwd=cwd, cache=cwd / "cache", kind="light")


def test_mistakes_end_the_command_before_anything_is_loaded(tmp_path):
    words = ["lora.rnak=4", "trainer.max_epoch=6", "data.fraction=1.5", "model=vitgpt2", "seed=x", "experiment=dmeo"]
    code = f"""
        import runpy, sys
        sys.argv = ["train.py", *{words}]
        try:
            runpy.run_path({str(ROOT / "train.py")!r}, run_name="__main__")
        except SystemExit as stop:
            heavy = [name for name in ("torch", "transformers", "pytorch_lightning", "peft") if name in sys.modules]
            print(stop.code, heavy)
    """
    line = [sys.executable, "-c", textwrap.dedent(code)]
    done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout == "2 []\n"
    assert done.stderr.startswith("error: 6 mistakes, nothing was started:\n")
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []  # no folder was made


@pytest.mark.parametrize(
    "words", [["data.fraction=abc"], ["-m", "lora.rank=4,0"], ["lora.rank=4,8"], ["+x=("]], ids=str
)
def test_the_exit_code_is_2(words, tmp_path):
    done = train(*words, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ") and len(done.stderr.splitlines()) == 1


def test_an_unknown_flag(tmp_path):
    done = train("--fraction", "0.1", cwd=tmp_path)
    assert done.returncode == 2
    assert "unrecognized arguments" in done.stderr


def test_help_names_the_words_and_the_choices(tmp_path):
    done = train("--help", cwd=tmp_path)
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) < 50
    for said in ["data.root=DIR", "lora.rank=16", "name=NAME", "python train.py -m", "model: blip, "]:
        assert said in done.stdout


def test_cfg_job_shows_the_recipe_from_any_folder(tmp_path):
    done = train("--cfg", "job", "lora.rank=4", cwd=tmp_path)
    assert done.returncode == 0
    assert "  rank: 4\n" in done.stdout
    assert list(tmp_path.iterdir()) == []
