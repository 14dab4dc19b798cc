"""Run by the Python that has MedCAT, see `rococap.metrics.medcat`."""

from collections.abc import Callable
from functools import cache
from importlib.metadata import version
from typing import Any

from answering import Pair, Scores, answer, of_one


def load(settings: dict[str, Any], _: bool) -> tuple[Callable[[list[Pair]], Scores], list[str]]:
    """F1 of the concepts that a model pack finds in both texts, as ImageCLEF's evaluator counts."""
    from medcat.cat import CAT

    cat = CAT.load_model_pack(settings["model"])

    @cache
    def concepts(text: str) -> frozenset[str]:
        return (
            frozenset(entity["cui"] for entity in cat.get_entities(text)["entities"].values()) if text else frozenset()
        )

    def f1(reference: str, caption: str) -> float:
        if not reference and not caption:
            return 1.0
        true, said = concepts(reference), concepts(caption)
        both = len(true & said)
        return 2 * both / (len(true) + len(said)) if both else 0.0

    return lambda pairs: of_one([f1(*pair) for pair in pairs]), [f"medcat:{version('medcat')}"]


if __name__ == "__main__":
    answer(load)
