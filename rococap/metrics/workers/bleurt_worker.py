"""Run by the Python that has bleurt-pytorch, see `rococap.metrics.bleurt`."""

from collections.abc import Callable
from typing import Any

from answering import Pair, Scores, answer, of_one


def load(settings: dict[str, Any], _: bool) -> tuple[Callable[[list[Pair]], Scores], list[str]]:
    """Pairs are (reference, caption), as ImageCLEF's evaluator gives them."""
    import torch
    from bleurt_pytorch import BleurtForSequenceClassification, BleurtTokenizer

    model, batch_size = settings["model"], settings["batch_size"]
    device = "cuda" if torch.cuda.is_available() else "cpu"
    tokenizer = BleurtTokenizer.from_pretrained(model)
    network = BleurtForSequenceClassification.from_pretrained(model).eval().to(device)
    options = {"padding": "longest", "truncation": True, "max_length": 512, "return_tensors": "pt"}

    def score(pairs: list[Pair]) -> Scores:
        scores = [0.0] * len(pairs)
        order = sorted(range(len(pairs)), key=lambda pair: len(pairs[pair][0]) + len(pairs[pair][1]))  # little padding
        for start in range(0, len(order), batch_size):
            part = order[start : start + batch_size]
            references, captions = [pairs[pair][0] for pair in part], [pairs[pair][1] for pair in part]
            with torch.inference_mode():
                logits = network(**tokenizer(references, captions, **options).to(device)).logits
            for pair, value in zip(part, logits.flatten().tolist(), strict=True):
                scores[pair] = value
        return of_one(scores)

    return score, []


if __name__ == "__main__":
    answer(load)
