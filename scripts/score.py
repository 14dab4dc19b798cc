"""Score a file of captions: no model, no GPU.

PREDICTIONS is rococap's own predictions/<split>.jsonl, COCO results (.json), or a table ID,Caption (.csv); the last two
need --references: COCO annotations or ROCOv2's own captions CSV.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from rich.console import Console

from rococap.cli import user_errors
from rococap.foreign import load
from rococap.metrics.base import Metric
from rococap.metrics.bleu import Bleu
from rococap.metrics.cider import Cider
from rococap.metrics.meteor import Meteor
from rococap.metrics.rouge_l import RougeL
from rococap.metrics.scoring import ready
from rococap.results import FILE, score_predictions, table, write_results
from rococap.types import UserError

METRICS: dict[str, type[Metric]] = {"bleu": Bleu, "meteor": Meteor, "rouge_l": RougeL, "cider": Cider}


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("predictions", type=Path, metavar="PREDICTIONS")
    parser.add_argument("--references", type=Path, help="captions to score against; their order is taken")
    parser.add_argument("--out", type=Path, required=True, help=f"folder for {FILE}")
    parser.add_argument(
        "--metrics",
        nargs="+",
        choices=METRICS,
        default=list(METRICS),
        metavar="METRIC",
        help="of " + ", ".join(METRICS),
    )
    parser.add_argument("--split", help="name of the split; the predictions file's name where left out")
    return parser.parse_args()


@user_errors()
def main() -> None:
    """Read, score, print and write."""
    arguments = parse_arguments()
    metrics = {name: METRICS[name]() for name in arguments.metrics}
    ready(metrics)
    predictions = load(arguments.predictions, arguments.references)
    try:
        arguments.out.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=arguments.out).close()
    except OSError as error:
        raise UserError(f"{arguments.out} cannot be written to ({error.strerror}).") from error
    rows = score_predictions(metrics, predictions, arguments.split or arguments.predictions.stem)
    write_results(arguments.out / FILE, rows)
    Console().print(table(rows))


if __name__ == "__main__":
    main()
