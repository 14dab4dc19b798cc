"""MedCAT (Kraljevic et al. 2021): the concepts of caption and reference, a part of ImageCLEF's factuality."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rococap.metrics.outside import OutsideMetric
from rococap.types import UserError

_HOW_TO_GET = """\
metrics: medcat needs MedCAT in a Python of its own, and a model pack, for which a UMLS licence is asked.
Get it: python -m venv medcat && medcat/bin/pip install "medcat[spacy,meta-cat]>=2,<3"
        and a pack from https://github.com/CogStack/cogstack-nlp (medcat-v2, Available Models)
Then:   metrics.medcat.python=medcat/bin/python metrics.medcat.model=PACK"""


class MedCat(OutsideMetric):
    """F1 of an image's concepts, mean over images, as ImageCLEF counts: 1 for two empty texts, 0 where none is shared.

    ImageCLEF's filter of semantic types lets all of UMLS's pass, so that there is none here.

    Args:
        model: a model pack, unpacked or zipped.
        python: the interpreter of the environment that has MedCAT.
    """

    key = "medcat"
    names = ("medcat",)

    def __init__(self, model: str | None, python: str | None = None) -> None:
        super().__init__(python)
        self.model = model

    @property
    def how_to_get(self) -> str:
        """See `OutsideMetric`."""
        return _HOW_TO_GET

    @property
    def request(self) -> dict[str, Any]:
        """See `OutsideMetric`."""
        return {"model": self.model}

    def check(self) -> None:
        """Raise UserError unless that Python has all that it needs."""
        if self.python is not None and (self.model is None or not Path(self.model).exists()):
            raise UserError(f"metrics.medcat.model={self.model} is not there.\n{self.how_to_get}")
        super().check()

    def settings(self, samples: int) -> tuple[str, ...]:
        """The model pack, by its name, which MedCAT ends with a digest; and the package."""
        return (f"model:{Path(str(self.model)).stem}", *super().settings(samples))
