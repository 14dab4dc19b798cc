"""Score a file of captions, or of concepts: no model, no GPU.

PREDICTIONS is rococap's own predictions/<split>.jsonl, COCO results (.json), or a table ID,Caption (.csv); the last two
need --references: COCO annotations or ROCOv2's own captions CSV. With --metrics concepts it is a run's .jsonl or a
table ID,CUIs, and --references is ROCOv2's test_concepts.csv, beside which test_concepts_manual.csv lies.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from hydra import compose, initialize_config_dir

from rococap.checks.command_line import check_command_line
from rococap.cli import Terminal, user_errors
from rococap.config import register
from rococap.evaluation.concept_table import concept_lines, write_concept_table
from rococap.evaluation.other_formats import load, load_concepts, require_captions, require_concepts
from rococap.evaluation.split_scores import scorable, score_predictions
from rococap.metrics.base import Metric
from rococap.metrics.measure import ready
from rococap.recipe.recipe import build_metrics
from rococap.runs.locks import require_writable
from rococap.runs.results import FILE, write_per_sample, write_results
from rococap.runs.terminal import show_scores
from rococap.types import UserError

CONF = Path(__file__).resolve().parents[1] / "conf"
CHOICES = sorted(path.stem for path in (CONF / "metrics").glob("*.yaml"))
CONCEPTS = "concepts"  # of all choices the one that scores no captions
USUAL = ["bleu", "meteor", "rouge_l", "cider"]


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("predictions", type=Path, metavar="PREDICTIONS")
    parser.add_argument("--references", type=Path, help="captions to score against; their order is taken")
    parser.add_argument("--out", type=Path, required=True, help=f"folder for {FILE}")
    parser.add_argument(
        "--metrics",
        nargs="+",
        choices=CHOICES,
        default=USUAL,
        metavar="METRIC",
        help=f"of {', '.join(CHOICES)}; {' '.join(USUAL)} where left out",
    )
    parser.add_argument("--set", nargs="+", default=[], metavar="SETTING", help="of a metric: bertscore.model=DIR")
    parser.add_argument("--split", help="name of the split; the predictions file's name where left out")
    parser.add_argument("--no-blind", action="store_true", help="without blind scores, the most of METEOR's work")
    return parser.parse_args()


@user_errors()
def main() -> None:
    """Read, score, print and write."""
    arguments = parse_arguments()
    console = Terminal()
    if CONCEPTS in arguments.metrics and len(arguments.metrics) > 1:
        raise UserError("--metrics: captions and concepts are not scored together.\nGive concepts alone.")
    metrics = chosen_metrics(arguments.metrics, arguments.set)
    ready(metrics)
    require_writable(arguments.out)
    of_concepts = CONCEPTS in arguments.metrics
    read = load_concepts if of_concepts else load
    predictions = read(arguments.predictions, arguments.references)
    if not scorable(metrics, predictions):
        raise UserError(f"{arguments.predictions} holds no references to score against: give --references FILE.")
    (require_concepts if of_concepts else require_captions)(arguments.predictions, predictions)
    split = arguments.split or arguments.predictions.stem
    with console.status(f"scoring {len(predictions):,} predictions"):
        scored = score_predictions(metrics, predictions, split, with_blind=not arguments.no_blind)
        rows = scored.rows() + scored.slice_rows()
    if of_concepts:
        write_concept_table(arguments.out, split, concept_lines(predictions))
    write_per_sample(arguments.out, split, [p.id for p in predictions], scored.per_sample())
    write_results(arguments.out / FILE, rows)
    show_scores(rows)


def chosen_metrics(names: list[str], settings: list[str]) -> dict[str, Metric]:
    """Metrics of conf/metrics, built. Raises UserError where a setting is wrong, with the nearest right one."""
    model = ["model=tiny_detector"] if CONCEPTS in names else []  # one that gives what is scored
    words = [
        *model,
        f"metrics=[{','.join(names)}]",
        *(f"metrics.{setting.removeprefix('metrics.')}" for setting in settings),
    ]
    check_command_line(CONF, argv=words)
    register()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return build_metrics(compose("train", words))


if __name__ == "__main__":
    main()
