"""Caption a split with a run's best checkpoint and score it: `python scripts/evaluate.py --run DIR --split test`."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from rococap.cli import user_errors
from rococap.types import SPLITS


@user_errors()
def main() -> None:
    """Writes the split's captions, scores and report into the run's folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True, metavar="DIR", help="a run's folder, such as multirun/NAME")
    parser.add_argument("--split", choices=SPLITS, default="test")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")

    from rococap.evaluation.evaluate import evaluate
    from rococap.report.run import report
    from rococap.runs.folder import RunFolder
    from rococap.runs.terminal import show_scores, show_warnings

    rows = evaluate(arguments.run, arguments.split, report)
    if rows:
        show_scores(rows)
    show_warnings(RunFolder(arguments.run))


if __name__ == "__main__":
    main()
