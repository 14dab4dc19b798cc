"""ImageCLEFmedical Caption's similarity of image and caption: not computed here, and told so."""

from __future__ import annotations

from typing import NoReturn

from rococap.metrics.base import FloatArray, IntArray, Metric
from rococap.metrics.imageclef import IMAGECLEF
from rococap.metrics.text import Texts
from rococap.types import UserError

_WHERE = """\
metrics: image_similarity needs the images and MedImageInsight (huggingface.co/lion-ai/MedImageInsights), which is no
package; rococap's metrics read texts only. To have it, give the submission.csv of `python scripts/submit.py --run DIR`
to ImageCLEF's evaluator: github.com/taubsity/clef-caption-evaluation-2026"""


class ImageSimilarity(Metric):
    """2.5 x the cosine of MedImageInsight's vectors of image and caption, where positive. Always raises UserError."""

    names = ("image_similarity",)
    tokenizer = IMAGECLEF

    def check(self) -> NoReturn:
        """Say what gives this score."""
        raise UserError(_WHERE)

    def statistics(self, texts: Texts, orders: IntArray) -> FloatArray:
        """None: see `check`."""
        self.check()

    def combine(self, sums: FloatArray) -> FloatArray:
        """None: see `check`."""
        self.check()
