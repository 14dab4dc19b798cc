"""Join the predictions of several runs, and score them.

python scripts/vote.py RUN RUN... --out DIR

Detectors' concepts by --how union, intersection or mean (of probabilities, with a threshold chosen on valid; the usual
way); captions by consensus: of each image the caption that is closest to the others by CIDEr.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from rococap.cli import Terminal, add_trust, user_errors
from rococap.types import SPLITS


@user_errors()
def main() -> None:
    """Writes predictions and scores into a folder, and prints the scores."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="folders of finished runs")
    parser.add_argument("--how", choices=("union", "intersection", "mean", "consensus"))
    parser.add_argument("--split", choices=SPLITS, default="test")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where predictions and scores go")
    add_trust(parser)
    arguments = parser.parse_args()

    from rococap.evaluation.concept_table import concept_lines, write_concept_table
    from rococap.evaluation.split_scores import scorable, score_predictions
    from rococap.evaluation.vote import vote
    from rococap.recipe.recipe import build_metrics
    from rococap.runs.folder import RunFolder
    from rococap.runs.locks import require_writable
    from rococap.runs.predictions import PredictionWriter
    from rococap.runs.results import FILE, write_per_sample, write_results
    from rococap.runs.terminal import show_scores

    console, split = Terminal(), arguments.split
    require_writable(arguments.out)
    metrics = build_metrics(RunFolder(arguments.runs[0], arguments.trust).recipe)
    with console.status(f"joining {len(arguments.runs)} runs"):
        predictions, made = vote(arguments.runs, split, arguments.how)
    with PredictionWriter(arguments.out / "predictions" / f"{split}.jsonl") as file:
        for prediction in predictions:
            file.write(prediction)
    if not metrics or not scorable(metrics, predictions):
        console.print(f"{arguments.out}: {len(predictions):,} predictions, not scored")
        return
    with console.status(f"scoring {len(predictions):,} predictions"):
        scored = score_predictions(metrics, predictions, split, made=made)
        rows = scored.rows() + scored.slice_rows()
    write_per_sample(arguments.out, split, [p.id for p in predictions], scored.per_sample())
    write_results(arguments.out / FILE, rows)
    if any(metric.answers == "concepts" for metric in metrics.values()):
        write_concept_table(arguments.out, split, concept_lines(predictions))
    show_scores(rows)


if __name__ == "__main__":
    main()
