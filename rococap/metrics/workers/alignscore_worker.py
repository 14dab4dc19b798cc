"""Run by the Python that has AlignScore, see `rococap.metrics.alignscore`."""

from collections.abc import Callable
from importlib.metadata import version
from typing import Any

from answering import Pair, Scores, answer, of_one


def load(settings: dict[str, Any], _: bool) -> tuple[Callable[[list[Pair]], Scores], list[str]]:
    """The reference is the context, the caption the claim, as ImageCLEF's evaluator gives them."""
    import torch
    from alignscore import AlignScore

    scorer = AlignScore(
        model=settings["model"],
        batch_size=settings["batch_size"],
        device="cuda" if torch.cuda.is_available() else "cpu",
        ckpt_path=settings["checkpoint"],
        evaluation_mode="nli_sp",
        verbose=False,
    )

    def score(pairs: list[Pair]) -> Scores:
        asked = [pair for pair in pairs if any(pair)]  # two empty texts are 1, as ImageCLEF has it
        contexts, claims = [reference for reference, _ in asked], [caption for _, caption in asked]
        found = iter(scorer.score(contexts=contexts, claims=claims) if asked else ())
        return of_one([float(next(found)) if any(pair) else 1.0 for pair in pairs])

    return score, [f"alignscore:{version('alignscore')}"]


if __name__ == "__main__":
    answer(load)
