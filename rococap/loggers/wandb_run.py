"""A run on Weights & Biases: what is logged there, on which axis, and how a run without network goes on."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import wandb
from lightning_fabric.loggers.logger import rank_zero_experiment
from pytorch_lightning.loggers import WandbLogger
from wandb.sdk.wandb_run import Run

from rococap.data.image import UnreadableImage, read
from rococap.loggers.wandb_segments import history, segments
from rococap.runs.folder import RunFolder
from rococap.runs.predictions import read_predictions
from rococap.runs.results import Row
from rococap.types import Example

_STEP = "trainer/global_step"
_MEASURED = {"train/loss_step", "lr"}  # a row of a step or an epoch has one of these; that of the last word has none


class WandbRun(WandbLogger):
    """Lightning's logger, with an axis of epochs for what is measured once an epoch, and a last word.

    Args:
        epochs: rows of metrics.csv that no segment has, since the run was killed before they were written.
        images: how many the table of captions has.
        adapter: whether the best weights are kept as an artifact.
        options: of WandbLogger, and through it of `wandb.init`.
    """

    def __init__(
        self, folder: RunFolder, epochs: Sequence[Mapping[str, float]], images: int, adapter: bool, **options: Any
    ) -> None:
        super().__init__(**options)
        self._wandb_init.pop("anonymous", None)  # Lightning still passes it, and wandb warns of it
        self._folder, self._epochs, self._images, self._adapter = folder, list(epochs), images, adapter
        self._axes: set[str] = set()

    @property
    @rank_zero_experiment
    def experiment(self) -> Run:
        """W&B's own run, begun when it is first asked for."""
        begun = self._experiment is not None
        run: Run = super().experiment
        if not begun:
            run.define_metric("epoch")
            for epoch in self._epochs:
                self.log_metrics(epoch, step=int(epoch["step"]) - 1)
        return run

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """As Lightning's; each name has its axis once: steps for what ends in `_step`, else epochs."""
        run = self.experiment
        for name in sorted(metrics.keys() - self._axes - {"epoch"}):
            run.define_metric(name, step_metric=_STEP if name.endswith("_step") else "epoch")
            self._axes.add(name)
        super().log_metrics(metrics, step)

    def hand_in(self, rows: Sequence[Row], pages: Mapping[str, Path], examples: Sequence[Example]) -> None:
        """The last word of a run: scores into its summary, images with captions, the pages, the weights; and end it."""
        run = self.experiment
        run.summary.update(summary(rows))
        report = wandb.Html(str(pages["report"]), inject=False)
        run.log({"samples": wandb.Image(str(pages["samples"])), "report": report, "images": self._table(examples)})
        if self._adapter:
            weights = next(path for name in ("adapter", "model") if (path := self._folder.path / name).is_dir())
            artifact = wandb.Artifact(f"{weights.name}-{run.id}", type="model", metadata=dict(run.config))
            artifact.add_dir(str(weights))
            run.log_artifact(artifact)
        run.finish()

    def _table(self, examples: Sequence[Example]) -> wandb.Table:
        """The first test images that can be read, with caption, references and whose they are."""
        images = {example.id: example.image for example in examples}
        table = wandb.Table(columns=["id", "image", "caption", "references", "attribution"])
        for p in read_predictions(self._folder.path / "predictions" / "test.jsonl")[: self._images]:
            try:
                image = wandb.Image(read(images[p.id]))
            except UnreadableImage:
                continue
            table.add_data(p.id, image, p.prediction, "\n".join(p.references), p.attribution)
        return table


def summary(rows: Sequence[Row]) -> dict[str, float]:
    """Scores by `split/metric`, with the ends of their intervals where there are any."""
    found: dict[str, float] = {}
    for row in rows:
        ends = {"": row.value, "_ci_low": row.ci_low, "_ci_high": row.ci_high}
        found |= {f"{row.split}/{row.metric}{end}": value for end, value in ends.items() if value is not None}
    return found


def going_on(folder: RunFolder, identity: str) -> tuple[str, dict[str, Any], list[dict[str, float]]]:
    """How a run without network goes on: its id, the arguments of `wandb.init`, and epochs to log again.

    What was logged up to the last checkpoint stays; the rest comes again. `resume="allow"` would count from 0 again
    without network: going on from a step, a session's file is one more segment of the same run.
    """
    done = folder.steps_done()
    logged = history(segments(folder.path, identity))
    kept = [row for row in logged if row.keys() & _MEASURED and row[_STEP] < done]
    if logged and not kept:  # nothing to go on from: the run starts over, and so does its record
        identity = secrets.token_hex(4)
    there = {row["epoch"] for row in kept if "lr" in row}
    epochs = [{name: float(value) for name, value in row.items() if value} for row in folder.metrics()]
    missing = [row for row in epochs if row["step"] <= done and row["epoch"] not in there]
    if not kept:
        return identity, {"id": identity, "resume": None}, missing
    return identity, {"id": None, "resume": None, "resume_from": f"{identity}?_step={kept[-1]['_step']}"}, missing
