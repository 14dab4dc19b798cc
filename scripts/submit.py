"""Write ImageCLEFmedical Caption's submission: submission.csv in a zip, checked as the site checks it.

Takes a run's captions, or a detector's concepts, `--run DIR --split test`, in the order of the run's dataset; or any
file of them, `PREDICTIONS --ids FILE`, where FILE is the official list: a table with a column ID.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from rococap.cli import add_trust, user_errors
from rococap.evaluation.detected import most_probable
from rococap.evaluation.other_formats import holds_concepts, load, load_concepts
from rococap.evaluation.submission import MOST, Form, in_order, official_ids, write_submission
from rococap.runs.folder import RunFolder
from rococap.runs.place import add_root
from rococap.runs.probabilities import file_of, read_probabilities
from rococap.types import SPLITS, UserError


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("predictions", type=Path, nargs="?", metavar="PREDICTIONS")
    parser.add_argument("--run", type=Path, metavar="DIR", help="a run's folder, in place of PREDICTIONS")
    parser.add_argument("--split", choices=SPLITS, default="test")
    parser.add_argument("--ids", type=Path, metavar="FILE", help="the official list; a run's dataset where left out")
    parser.add_argument("--out", type=Path, default=Path("submission.zip"))
    add_trust(parser)
    add_root(parser)
    arguments = parser.parse_args()
    if (arguments.run is None) == (arguments.predictions is None):
        parser.error("give --run DIR, or a file of captions")
    if arguments.predictions and not arguments.ids:
        parser.error("--ids FILE, the official list, is needed beside a file of captions")
    return arguments


@user_errors()
def main() -> None:
    """Read, order, check and write."""
    arguments = parse_arguments()
    ids = official_ids(arguments.ids) if arguments.ids else ids_of_run(arguments)
    file = arguments.predictions or arguments.run / "predictions" / f"{arguments.split}.jsonl"
    if arguments.run and not file.is_file():
        raise UserError(
            f"{file} is not there.\nMake it: python scripts/evaluate.py --run {arguments.run} --split {arguments.split}"
        )
    if arguments.run:
        RunFolder(arguments.run).verify(f"predictions/{arguments.split}.jsonl")
    read = load_concepts if holds_concepts(file) else load
    found = {p.id: p.prediction for p in read(file)}
    probabilities = arguments.run and arguments.run / file_of(arguments.split)
    of_concepts = read is load_concepts or (probabilities and probabilities.is_file())
    form = Form.CONCEPTS if of_concepts else Form.of(found.values())
    if probabilities and probabilities.is_file():
        found = most_probable(found, read_probabilities(probabilities), MOST)
    answers = in_order(found, ids, form)
    write_submission(arguments.out, answers, form)
    empty = sum(not text for text in answers.values())
    what = "captions" if form is Form.CAPTIONS else "lists of concepts"
    print(f"{arguments.out}: {len(answers):,} {what}" + (f", {empty:,} of them empty" if empty else ""))


def ids_of_run(arguments: argparse.Namespace) -> list[str]:
    """The ids of a split of the run's dataset, in the dataset's order."""
    from rococap.recipe.recipe import Recipe

    recipe = Recipe.of_run(RunFolder(arguments.run, arguments.trust), arguments.root)
    return [example.id for example in recipe.source.examples(arguments.split)]


if __name__ == "__main__":
    main()
