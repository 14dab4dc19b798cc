"""AlignScore (Zha et al. 2023): whether a caption follows from its reference; a part of ImageCLEF's factuality."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from rococap.metrics.outside import OutsideMetric
from rococap.types import UserError

_HOW_TO_GET = """\
metrics: alignscore needs AlignScore in a Python of its own, and one of its checkpoints.
Get it: python3.10 -m venv alignscore && alignscore/bin/pip install "git+https://github.com/yuh-zha/AlignScore" &&
        alignscore/bin/python -m spacy download en_core_web_sm && hf download {model} &&
        hf download yzha/AlignScore AlignScore-base.ckpt --local-dir alignscore
Then:   metrics.alignscore.python=alignscore/bin/python metrics.alignscore.checkpoint=alignscore/AlignScore-base.ckpt"""


class AlignScore(OutsideMetric):
    """Mode `nli_sp`: the mean, over a caption's sentences, of how well the best part of the reference supports each.

    Args:
        checkpoint: a file, such as AlignScore-base.ckpt.
        model: the network that it is of.
        python: the interpreter of the environment that has AlignScore.
        batch_size: pairs at once.
    """

    key = "alignscore"
    names = ("alignscore",)

    def __init__(
        self, checkpoint: str | None, model: str = "roberta-base", python: str | None = None, batch_size: int = 32
    ) -> None:
        super().__init__(python)
        self.checkpoint, self.model, self.batch_size = checkpoint, model, batch_size

    @property
    def how_to_get(self) -> str:
        """See `OutsideMetric`."""
        return _HOW_TO_GET.format(model=self.model)

    @property
    def request(self) -> dict[str, Any]:
        """See `OutsideMetric`."""
        return {"checkpoint": self.checkpoint, "model": self.model, "batch_size": self.batch_size}

    def check(self) -> None:
        """Raise UserError unless that Python has all that it needs."""
        if self.python is not None and (self.checkpoint is None or not Path(self.checkpoint).is_file()):
            raise UserError(f"metrics.alignscore.checkpoint={self.checkpoint} is no file.\n{self.how_to_get}")
        super().check()

    def settings(self, samples: int) -> tuple[str, ...]:
        """The checkpoint, by its content, and the package."""
        with Path(str(self.checkpoint)).open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()[:8]
        return (f"model:{self.model}", f"weights:{content}", *super().settings(samples))
