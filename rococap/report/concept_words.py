"""A detector's answer as people read it: names of concepts, coloured."""

from __future__ import annotations

from collections.abc import Mapping

from markupsafe import Markup

from rococap.metrics.concepts import gold_codes
from rococap.report.samples import INK, MISSED, RIGHT, WRONG, Word
from rococap.types import Prediction

LEGEND = Markup(
    "Concepts are <span class='right'>green</span> where predicted rightly, <span class='wrong'>red</span> where "
    "predicted and not there, <span class='missed'>missed</span> where there and not predicted."
)
SHEET = [("Concepts:", INK), ("right", RIGHT), ("wrong", WRONG), ("missed", MISSED)]


def concept_words(prediction: Prediction, names: Mapping[str, str]) -> list[Word]:
    """Concepts by name and colour: predicted ones in their order, then those that were missed.

    Args:
        names: of concepts by code, beside those that the image's own have.
    """
    called = {**names, **{c.cui.strip().upper(): c.name for c in prediction.concepts if c.name}}
    gold = gold_codes(prediction.concepts) - {""}
    said = [code for code in dict.fromkeys(map(str.strip, prediction.prediction.upper().split(";"))) if code]
    missed = sorted(gold - set(said))
    words = [(code, RIGHT if code in gold else WRONG) for code in said] + [(code, MISSED) for code in missed]
    return [(called.get(code) or code, colour) for code, colour in words]
