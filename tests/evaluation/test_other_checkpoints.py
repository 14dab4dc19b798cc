"""A checkpoint that belongs to another run, in a run's folder."""

import shutil

import pytest
import torch
from commands import ROOT

from rococap.runs.folder import RunFolder


@pytest.fixture
def copied(finished, place):
    """A copy of the finished run, where it can be gone on with."""
    path = place / "multirun" / "other"
    shutil.rmtree(path, ignore_errors=True)
    shutil.copytree(finished, path, ignore=shutil.ignore_patterns("wandb", ".lock"))
    yield path
    shutil.rmtree(path)


def test_another_rank_is_said_in_two_lines(copied, run, recipe):
    for file in (copied / "checkpoints").iterdir():
        checkpoint = torch.load(file, weights_only=True)
        state = checkpoint["state_dict"]
        for name in state:
            if ".lora_" in name:
                state[name] = state[name].repeat((2, 1) if ".lora_A." in name else (1, 2))
        torch.save(checkpoint, file)
    before = {file: file.read_bytes() for file in (copied / "checkpoints").iterdir()}
    RunFolder(copied).note(state="interrupted")
    for words in ([ROOT / "scripts/evaluate.py", "--run", copied], [*recipe, "name=other"]):
        done = run(*words)
        said = done.stderr[done.stderr.index("error: ") :].splitlines()
        assert done.returncode == 2 and "Traceback" not in done.stderr and len(said) == 2, done.stderr
        assert "lora.rank was 32, is 16" in said[0]
    assert before == {file: file.read_bytes() for file in (copied / "checkpoints").iterdir()}


def test_other_data_is_told(copied, run):
    environment = RunFolder(copied).environment
    RunFolder(copied).write_json("environment.json", environment | {"data": "0123456789abcdef"})
    done = run(ROOT / "scripts/evaluate.py", "--run", copied, "--split", "valid")
    assert done.returncode == 0, done.stderr
    said = f"on other data than lies there now: its fingerprint was 0123456789ab, is {environment['data'][:12]}"
    assert said in done.stdout + done.stderr
