"""The project's own commands on little data, as separate processes."""

import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

from server import Forked

ROOT = Path(__file__).resolve().parents[1]
CONF = ROOT / "conf"
SHARED = ROOT.parent / "shared"  # data that is not part of the project: tests that want it skip without it
MINI = SHARED / "data" / "rocov2_mini"
ROCO = SHARED / "data" / "roco_captions"
SMALL = [
    "data=phantom",
    "model=tiny",
    "data.source.train=128",
    "data.source.valid=8",
    "data.source.test=6",
    "data.batch_size=16",
    "trainer.max_epochs=2",
    "decoding.max_new_tokens=12",
]

SERVERS = "ROCOCAP_TESTS_SERVERS"  # names the folder of their sockets
READ_LATE = {"heavy": {"COLUMNS", "PATH"}, "light": {"COLUMNS", "PATH", "HF_HOME"}}  # by what such a server imports

# Of `CaptionData`, beside its source, its processor and the size of a batch.
DATA = {
    "fraction": 1.0,
    "subset_seed": 0,
    "length_pool": 32,
    "workers": 0,
    "val_images": None,
    "max_tokens": 128,
    "seed": 0,
}

# Of `add_lora`, for a ViT and GPT-2.
LORA = {
    "rank": 4,
    "alpha": None,
    "dropout": 0.0,
    "target_modules": ["c_attn", "c_proj"],
    "train_vision_tower": False,
    "parts": ["decoder"],
    "use_dora": False,
    "use_rslora": False,
    "init": "default",
}


def shape(captioner):
    """Positions and width of an image's features."""
    import torch

    return tuple(captioner.encode(torch.zeros(1, 3, *captioner.processor.image_size, dtype=torch.uint8)).shape[1:])


# As a sitecustomize.py on PYTHONPATH, or at the top of a script: these packages are as good as not installed.
BLOCK = """\
from importlib.machinery import PathFinder

find = PathFinder.find_spec

def find_spec(name, path=None, target=None):
    return None if name.split(".")[0] in {names!r} else find(name, path, target)

PathFinder.find_spec = staticmethod(find_spec)
"""


def start(*words, cwd, cache, environment=None, kind="heavy"):
    """Start one of the project's commands, `train.py` or `scripts/score.py`, as a user does.

    By a server of this kind, which has imported already what is common to them; None: as a process from nothing, that
    shares no import and no order of sets with another. One from nothing it is too where the environment is said to
    differ in what a server could have read before, or where there are no servers.
    """
    # W&B's service of this process, if a test began one, would serve the command too, and outlive its being killed.
    inherited = {name: value for name, value in os.environ.items() if name != "WANDB_SERVICE"}
    variables = {**inherited, "ROCOCAP_CACHE": str(cache), "OMP_NUM_THREADS": "1", **(environment or {})}
    words = list(map(str, words))
    if kind and SERVERS in os.environ and not (environment or {}).keys() - READ_LATE[kind]:
        return Forked(f"{os.environ[SERVERS]}/{kind}", words, cwd, variables)
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([sys.executable, *words], cwd=cwd, env=variables, **pipes)


def command(*words, timeout=300, **options):
    """Run such a command to its end."""
    process = start(*words, **options)
    try:
        out, errors = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    return subprocess.CompletedProcess(process.args, process.returncode, out, errors)


HOLD = """
import sys
from pathlib import Path
from rococap.runs.locks import hold_run
hold_run(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def held(folder):
    """While another process holds a run's folder; at the end that is killed."""
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert holder.stdout.readline() == b"held\n"
        yield
    finally:
        holder.kill()
        holder.communicate()
