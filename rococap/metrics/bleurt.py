"""BLEURT (Sellam et al. 2020), which ImageCLEFmedical Caption reports of captions prepared as for its other metrics.

Its checkpoints are opened by bleurt-pytorch, which does not import under transformers 5.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rococap.metrics.imageclef import IMAGECLEF
from rococap.metrics.outside import OutsideMetric

_HOW_TO_GET = """\
metrics: bleurt needs bleurt-pytorch in a Python of its own, since it does not run under transformers 5.
Get it: python -m venv bleurt && bleurt/bin/pip install bleurt-pytorch "transformers==4.49.0" && hf download {model}
Then:   metrics.bleurt.python=bleurt/bin/python"""


class Bleurt(OutsideMetric):
    """A learned score of each pair of texts.

    Args:
        model: a directory, or a name on the Hugging Face hub that is in its cache.
        python: the interpreter of the environment that has bleurt-pytorch.
        batch_size: pairs at once.
    """

    key = "bleurt"
    names = ("bleurt",)
    tokenizer = IMAGECLEF

    def __init__(self, model: str, python: str | None = None, batch_size: int = 64) -> None:
        super().__init__(python)
        self.model, self.batch_size = model, batch_size

    @property
    def how_to_get(self) -> str:
        """See `OutsideMetric`."""
        return _HOW_TO_GET.format(model=self.model)

    @property
    def request(self) -> dict[str, Any]:
        """See `OutsideMetric`."""
        return {"model": self.model, "batch_size": self.batch_size}

    def settings(self, samples: int) -> tuple[str, ...]:
        """The checkpoint."""
        return (f"model:{Path(self.model).name}",)
