"""Caption a split and score it: with a run's best checkpoint, or with a published model as it is.

python scripts/evaluate.py --run DIR --split test
python scripts/evaluate.py --model vlm model.path=DIR data=rocov2 data.root=DIR --split test

A model takes the settings of train.py, and is a run that trains nothing (lora=zero_shot), in a folder of its own; a
table of several is a sweep: python train.py -m lora=zero_shot model=blip,vit_gpt2 data.root=DIR
"""

from __future__ import annotations

import argparse
import logging
import subprocess
import sys
import time
from pathlib import Path

from rococap.cli import add_trust, user_errors
from rococap.runs.place import add_root
from rococap.types import SPLITS

TRAIN = Path(__file__).resolve().parents[1] / "train.py"


@user_errors()
def main() -> None:
    """Writes the split's captions, scores and report into the run's folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--run", type=Path, metavar="DIR", help="a run's folder, such as multirun/NAME")
    source.add_argument("--model", metavar="NAME", help="one of conf/model")
    parser.add_argument("--split", choices=SPLITS, default="test")
    add_trust(parser)
    add_root(parser)
    parser.add_argument("settings", nargs="*", metavar="setting=value", help="of train.py, with --model")
    arguments = parser.parse_intermixed_args()
    if arguments.run and arguments.settings:
        parser.error(f"a run has its own settings: {arguments.settings[0]} goes with --model only")
    if arguments.model and arguments.root:
        parser.error(f"a model has the settings of train.py: data.root={arguments.root}")
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    folder = arguments.run or untrained_run(arguments.model, arguments.settings)
    if arguments.model and arguments.split == "test":
        return  # the run has captioned, scored and shown it

    from rococap.evaluation.evaluate import evaluate
    from rococap.report.run import report
    from rococap.runs.folder import RunFolder
    from rococap.runs.terminal import show_scores, show_warnings

    # A model's run is made of what was just typed.
    trusted = arguments.trust or bool(arguments.model)
    rows = evaluate(folder, arguments.split, report, trusted=trusted, root=arguments.root)
    if rows:
        show_scores(rows)
    show_warnings(RunFolder(folder))


def untrained_run(model: str, settings: list[str]) -> Path:
    """The folder of a run that trains nothing; ends the process with the run's exit code where it did not finish."""
    from rococap.runs.locks import new_folder

    given = dict(word.split("=", 1) for word in settings if "=" in word)
    place: list[str] = []
    if "hydra.run.dir" in given:
        folder = Path(given["hydra.run.dir"])
    elif "name" in given:
        folder = Path("multirun", given["name"])
    else:
        folder = new_folder(Path("multirun", time.strftime("%Y-%m-%d/%H-%M-%S")))
        place = [f"hydra.run.dir={folder}"]
    done = subprocess.run([sys.executable, str(TRAIN), f"model={model}", "lora=zero_shot", *settings, *place])
    if done.returncode:
        sys.exit(done.returncode)
    return folder


if __name__ == "__main__":
    main()
