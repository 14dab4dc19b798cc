"""Writes bertscore.json, what bert_score itself gives: `python tests/metrics/make_bertscore.py`, in an environment with

    pip install bert_score==0.3.13 transformers==4.49.0

as ImageCLEF runs it. The encoders are made by encoders.py, and are the same under rococap's transformers.
"""

from __future__ import annotations

import json
import random
import tempfile
from pathlib import Path

import encoders
from bert_score import BERTScorer

LAYER = 3
FIXED = [
    ("a ct of the head", "axial ct of the head"),
    ("the the the the", "mri"),
    ("naïve café – 漢字 🩻 zzz", "a mass"),  # noqa: RUF001
    ("", "an arrow"),
    ("arrow", "arrow"),
    (" ".join(["left chest mass"] * 40), "left chest"),  # longer than the encoder's longest
]


def pairs() -> list[tuple[str, str]]:
    """Captions and references."""
    draw = random.Random(0)

    def text() -> str:
        return " ".join(draw.choices(encoders.WORDS, k=draw.randint(1, 12)))

    return FIXED + [(text(), text()) for _ in range(40)]


def main() -> None:
    """One pair at a time, as ImageCLEF's evaluator does."""
    result: dict[str, object] = {"layer": LAYER, "pairs": pairs(), "scores": {}}
    scores: dict[str, list[list[float]]] = {}
    for kind in encoders.KINDS:
        with tempfile.TemporaryDirectory() as folder:
            encoders.build(Path(folder), kind)
            for idf in (False, True):
                scorer = BERTScorer(folder, num_layers=LAYER, idf=idf, idf_sents=[r for _, r in pairs()], nthreads=0)
                rows = [scorer.score([caption], [reference]) for caption, reference in pairs()]
                scores[f"{kind}{'_idf' if idf else ''}"] = [[r.item(), f.item()] for _, r, f in rows]
    result["scores"] = scores
    Path(__file__).with_name("bertscore.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
