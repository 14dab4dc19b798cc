"""Metrics of radiology reports by RadEval (Xu et al. 2025): RadGraph, RaTEScore, CheXbert and GREEN.

They were made for reports of chest radiographs, and are scored on images of the chest alone.
"""

from __future__ import annotations

from typing import Any

from rococap.metrics.outside import OutsideMetric
from rococap.types import UserError

# RadEval's metrics, and those of their scores that are given. Others of RadEval's download when they are built, ask a
# hosted model, or are better the lower they are.
SCORES = {
    "radgraph": ("radgraph_simple", "radgraph_partial", "radgraph_complete"),
    "ratescore": ("ratescore",),
    "f1chexbert": ("f1chexbert_all_micro_f1", "f1chexbert_5_micro_f1"),
    "green": ("green",),
}
_HOW_TO_GET = """\
metrics: radeval needs RadEval in a Python of its own, and its models in the cache of the Hugging Face hub.
Get it: python -m venv radeval && radeval/bin/pip install "radeval>=2.2,<3"
        radeval/bin/python -c "from radeval import RadEval; RadEval(metrics={metrics})"
Then:   metrics.radeval.python=radeval/bin/python"""


class RadEval(OutsideMetric):
    """Scores of RadEval; CheXbert's are micro F1 over all labels of the images, the others means.

    Args:
        scores: of `SCORES`.
        part: of a split that is scored: `region=chest`, by the concepts that a person assigned, or `all` where all
            images are of the chest.
        python: the interpreter of the environment that has RadEval.
    """

    key = "radeval"
    counted = SCORES["f1chexbert"]

    def __init__(self, scores: list[str], part: str = "region=chest", python: str | None = None) -> None:
        super().__init__(python)
        if not scores or (unknown := [name for name in scores if name not in SCORES]):
            said = f"has no {', '.join(unknown)}" if scores else "is empty"
            raise UserError(f"metrics.radeval.scores {said}.\nThere are: {', '.join(SCORES)}.")
        self.scores_of, self.part = list(dict.fromkeys(scores)), part
        self.names = tuple(key for name in self.scores_of for key in SCORES[name])
        self.partial = self.names

    @property
    def how_to_get(self) -> str:
        """See `OutsideMetric`."""
        return _HOW_TO_GET.format(metrics=[*self.scores_of])

    @property
    def request(self) -> dict[str, Any]:
        """See `OutsideMetric`."""
        return {"metrics": self.scores_of, "keys": self.names}
