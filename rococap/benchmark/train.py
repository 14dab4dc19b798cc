"""Training against a baseline that is a script of its own, both on the same images, captions and steps, in turns."""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
from rich.table import Table

from rococap.benchmark.processes import answer, console
from rococap.benchmark.work import TOKENIZER, FirstImages, draw
from rococap.types import UserError

OURS = "rococap"
PADDINGS = {"max": "baseline, padded to {}", "longest": "baseline, padded to the longest of a batch"}


@dataclass(frozen=True)
class Work:
    """What is trained: see `benchmark.py train --help`."""

    baseline: Path
    data: Path | None
    tokenizer: Path | None
    size: str
    images: int
    epochs: int
    batch_size: int
    max_length: int
    precision: str
    rounds: int


def measure(work: Work) -> dict[str, Any]:
    """Run all sides once a round, in turns.

    Returns:
        ratio: seconds of the padded baseline over rococap's; ratio_longest: of the baseline without fixed padding;
        share_of_limit: seconds of the matrix products alone over rococap's; images_per_second: of rococap, over all
        epochs, decoding and encoding included; sides: every run's own figures.

    Raises:
        UserError: a side failed, or did not train on the same images.
    """
    if not work.baseline.is_file():
        raise UserError(f"--baseline {work.baseline} is no file. Give a script that trains the usual way.")
    sides: dict[str, list[dict[str, Any]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        data = work.data or draw(Path(folder), work.images)
        _require_images(data, work.images)
        for round_number in range(work.rounds):
            for name, command in _commands(work, data).items():
                found = answer(f"round {round_number + 1} of {work.rounds}: {name}", command)
                _require_same_work(name, found, work)
                console.print(f"{name}: {found['seconds']:.1f} s")
                sides.setdefault(name, []).append(found)
    padded, longest = (_sum(sides[text.format(work.max_length)], "seconds") for text in PADDINGS.values())
    ours = _sum(sides[OURS], "seconds")
    return {
        "ratio": padded / ours,
        "ratio_longest": longest / ours,
        "share_of_limit": _sum(sides[OURS], "limit_seconds") / ours,
        "images_per_second": work.rounds * work.images * work.epochs / ours,
        "size": work.size,
        "images": work.images,
        "epochs": work.epochs,
        "batch_size": work.batch_size,
        "sides": sides,
    }


def _commands(work: Work, data: Path) -> dict[str, Sequence[object]]:
    """Each side's command line for Python; rococap between the two baselines, as far from a cold start as they."""
    tokenizer = work.tokenizer or TOKENIZER
    shared = [
        "--data", data, "--tokenizer", tokenizer, "--size", work.size, "--images", work.images, "--epochs", work.epochs,
        "--batch-size", work.batch_size, "--max-length", work.max_length,
    ]  # fmt: skip
    theirs = {"fp32": "32", "auto": "32"}.get(work.precision, work.precision)
    usual = {
        text.format(work.max_length): [work.baseline, *shared, "--pad", padding, "--precision", theirs]
        for padding, text in PADDINGS.items()
    }
    padded, longest = usual
    ours = ["-m", "rococap.benchmark.ours", *shared, "--precision", work.precision]
    return {padded: usual[padded], OURS: ours, longest: usual[longest]}


def _require_images(data: Path, images: int) -> None:
    """The baseline takes the first rows of the table, whatever they are: they must be images that rococap takes too."""
    with (data / "train_captions.csv").open(newline="", encoding="utf-8-sig") as file:
        first = [row["ID"] for row, _ in zip(csv.DictReader(file), range(images), strict=False)]
    if first != [example.id for example in FirstImages(data, images).examples("train")]:
        raise UserError(
            f"{data}: some of the first {images} rows have no readable image or caption: not the same work."
        )


def _require_same_work(name: str, found: dict[str, Any], work: Work) -> None:
    done = {key: found[key] for key in ("images", "epochs", "batch_size")}
    if done != {"images": work.images, "epochs": work.epochs, "batch_size": work.batch_size}:
        raise UserError(f"{name} did other work than it was given: {done}.")


def _sum(runs: Sequence[dict[str, Any]], key: str) -> float:
    return sum(float(run[key]) for run in runs)


def result_table(result: dict[str, Any]) -> Table:
    """All sides, the fastest run of each."""
    shown = Table(title=f"{result['images']} images, {result['epochs']} epochs, batch {result['batch_size']}")
    for heading in ("", "wall time", "images/s", "peak memory"):
        shown.add_column(heading, justify="left" if not heading else "right")
    for name, runs in result["sides"].items():
        best = min(runs, key=lambda run: float(run["seconds"]))
        rate = best["images"] * best["epochs"] / best["seconds"]
        peak = best["peak_gpu_mib"] or best["peak_rss_mib"]
        shown.add_row(name, f"{best['seconds']:.1f} s", f"{rate:,.2f}", f"{peak:,} MiB")
    shown.caption = (
        f"{result['ratio']:.2f} times the padded baseline, {result['ratio_longest']:.2f} times the one without fixed "
        f"padding; {result['share_of_limit']:.0%} of what the matrix products alone would allow"
    )
    return shown


def figure(result: dict[str, Any]) -> go.Figure:
    """Wall time of each side, rococap's split into preparing and training, beside the limit."""
    runs = {name: min(found, key=lambda run: float(run["seconds"])) for name, found in result["sides"].items()}
    runs["matrix products alone"] = {"seconds": runs[OURS]["limit_seconds"]}
    prepared = [run.get("prepare_seconds", 0.0) for run in runs.values()]
    rest = [run["seconds"] - first for run, first in zip(runs.values(), prepared, strict=True)]
    bars = [("decoding and encoding", prepared), ("training", rest)]
    drawn = go.Figure([go.Bar(name=name, x=values, y=list(runs), orientation="h") for name, values in bars])
    return drawn.update_layout(barmode="stack", xaxis_title="seconds", yaxis={"autorange": "reversed"})
