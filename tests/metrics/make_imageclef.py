"""Writes imageclef.json: what the official evaluators say of texts of every kind.

    git clone https://github.com/taubsity/clef-caption-evaluation old
    git clone https://github.com/taubsity/clef-caption-evaluation-2026 new
    python tests/metrics/make_imageclef.py 2023=old@6f12aa3 2025=old@b888229 2026=new@HEAD

Their code runs as it is (of 2023 its first version that is valid Python). What it imports and these scores do not need
is empty here; `evaluate.load("rouge")` is what the package evaluate has under that name, a wrapper of rouge-score.
"""

import importlib.util
import itertools
import json
import subprocess
import sys
import tempfile
import types
from pathlib import Path
from unittest.mock import MagicMock

from rouge_score import rouge_scorer

TEXTS = ["", " ", "...", "|||", "a|||b", "CT of the head.", "ct  of the\nhead", "T2-weighted, 3.5 cm", "12 12", "“ct”"]
TEXTS += [
    "The CT\u2028of a head",
    "x\ty",
    "é É",
    "١٢",
    "a_b",
    "漢字 ct",
    "\u00a0",
    "number",
    "ct ct ct of",
    "-",
    "5",
    "İ",
]
TEXTS += ["ct ct ct of", "-", "5", "İ", "a||b", "<unk> ct", "ct|||of|||the|||head", "\u200b", "nodules", "nodule"]


class Rouge:
    def compute(self, predictions, references, use_aggregator, use_stemmer):
        scorer = rouge_scorer.RougeScorer(["rouge1"], use_stemmer=use_stemmer)
        return {"rouge1": [scorer.score(r, p)["rouge1"].fmeasure for p, r in zip(predictions, references, strict=True)]}


def evaluator(repository, commit):
    """Their class."""
    file = f"{commit}:caption_prediction/evaluator.py"
    text = subprocess.run(["git", "-C", repository, "show", file], capture_output=True, text=True, check=True).stdout
    for name in ("alignscore", "bert_score", "medcat_scorer", "bleurt_pytorch", "medimageinsightmodel"):
        sys.modules[name] = MagicMock()
    sys.modules["evaluate"] = types.SimpleNamespace(load=lambda name: Rouge())
    place = Path(tempfile.mkdtemp())
    (place / "evaluator.py").write_text(text)
    (place / "MedImageInsights").mkdir()
    spec = importlib.util.spec_from_file_location("theirs", place / "evaluator.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.CaptionEvaluator


def rouge(kind, caption, reference):
    """Of one pair; 1 where their code means so, and fails in 2023's for looking into that number."""
    theirs = kind.__new__(kind)
    theirs.scorers, theirs.gt = {"rouge": (Rouge(),)}, {"x": reference}
    try:
        return float(theirs.compute_rouge({"x": caption}))
    except TypeError:
        return 1.0


def main():
    pairs = list(itertools.product(TEXTS, TEXTS))
    found = {"pairs": pairs, "rouge_1": {}}
    for word in sys.argv[1:]:
        edition, _, place = word.partition("=")
        kind = evaluator(*place.split("@"))
        found["rouge_1"][edition] = [round(rouge(kind, *pair), 12) for pair in pairs]
    Path(__file__).with_name("imageclef.json").write_text(json.dumps(found, ensure_ascii=True) + "\n")


if __name__ == "__main__":
    main()
