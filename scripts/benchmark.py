"""How fast rococap is, as ratios to other ways of doing the same work in the same run.

train     against a script that trains the usual way (--baseline), and against the matrix products alone
data      preparing images, against decoding and resizing them alone
generate  captioning, against generate image by image and in plain batches
score     all metrics, against the PTB tokenizer and METEOR alone
startup   from the command to the first step, against the imports alone
sweep     a small sweep, against the training, captioning and scoring of its jobs alone
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from rococap.cli import user_errors

TRAIN = Path(__file__).resolve().parents[1] / "train.py"


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["train", "data", "generate", "score", "startup", "sweep"])
    parser.add_argument("--baseline", type=Path, help="train: the script; it takes --data, --tokenizer, --pad ...")
    parser.add_argument("--data", type=Path, metavar="DIR", help="train/ and train_captions.csv; else images are drawn")
    parser.add_argument("--tokenizer", type=Path, metavar="DIR", help="with tokenizer.json; else the small captioner's")
    parser.add_argument("--size", choices=["base", "tiny"], default="base", help="base: ViT-B/16 and GPT-2")
    parser.add_argument("--images", type=int, help="train: 64; data: 2,000; generate: 8; score: 10,000 captions")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--max-length", type=int, default=128, help="tokens: of a padded or a generated caption")
    parser.add_argument("--precision", choices=["fp32", "fp16", "bf16"], default="fp32")
    parser.add_argument("--rounds", type=int, default=1, help="how often each side runs, in turns; sweep: seeds")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    parser.add_argument("--plot", type=Path, metavar="FILE.html", help="write a picture of them there")
    return parser.parse_args()


@user_errors()
def main() -> None:
    """Measure, and print one table."""
    a = parse_arguments()
    result, shown = measure(a)
    Console().print(shown)
    if a.json:
        a.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    if a.plot:
        from rococap.benchmark.plot import plot

        a.plot.write_text(plot(a.what, result), encoding="utf-8")


def measure(a: argparse.Namespace) -> tuple[dict[str, Any], Table]:
    """The figures, and the table of them."""
    from rococap.benchmark import data, generate, score, startup, sweep, train
    from rococap.types import UserError

    if a.what == "train":
        if a.baseline is None:
            raise UserError("benchmark.py train needs --baseline FILE: a script that trains the usual way.")
        result = train.measure(
            train.Work(
                a.baseline, a.data, a.tokenizer, a.size, a.images or 64, a.epochs, a.batch_size, a.max_length,
                a.precision, a.rounds,
            )
        )  # fmt: skip
        return result, train.result_table(result)
    if a.what == "data":
        result = data.measure(a.data, a.images or 2000, a.rounds)
    elif a.what == "generate":
        result = generate.measure(a.size, a.tokenizer, a.images or 8, a.batch_size, a.max_length, a.rounds)
    elif a.what == "score":
        result = score.measure(a.images or 10_000, a.rounds)
    elif a.what == "startup":
        result = startup.measure(TRAIN, a.rounds)
    else:
        result = sweep.measure(TRAIN, a.rounds)
    return result, result_table(a.what, result)


def result_table(what: str, result: dict[str, Any]) -> Table:
    """Seconds of each side, and below what follows from them."""
    figures = [f"{name.replace('_', ' ')} {value:,.2f}" for name, value in result.items() if name != "sides"]
    shown = Table(title=what, caption="; ".join(figures))
    shown.add_column("")
    shown.add_column("seconds", justify="right")
    for name, seconds in result["sides"].items():
        shown.add_row(name, f"{seconds:.2f}")
    return shown


if __name__ == "__main__":
    main()
