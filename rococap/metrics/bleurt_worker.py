"""Run by the Python that has bleurt-pytorch, see bleurt.py: pairs of texts on standard input, scores on its output.

`python bleurt_worker.py MODEL BATCH_SIZE`; both sides are JSON. It imports nothing of rococap.
"""

import json
import sys

import torch
from bleurt_pytorch import BleurtForSequenceClassification, BleurtTokenizer


def main() -> None:
    """Pairs are (reference, caption), as ImageCLEF's evaluator gives them."""
    model, batch_size = sys.argv[1], int(sys.argv[2])
    device = "cuda" if torch.cuda.is_available() else "cpu"
    tokenizer = BleurtTokenizer.from_pretrained(model)
    network = BleurtForSequenceClassification.from_pretrained(model).eval().to(device)
    pairs = json.load(sys.stdin)
    scores = [0.0] * len(pairs)
    order = sorted(range(len(pairs)), key=lambda pair: len(pairs[pair][0]) + len(pairs[pair][1]))  # little padding
    for start in range(0, len(order), batch_size):
        part = order[start : start + batch_size]
        references, captions = [pairs[pair][0] for pair in part], [pairs[pair][1] for pair in part]
        settings = {"padding": "longest", "truncation": True, "max_length": 512, "return_tensors": "pt"}
        with torch.inference_mode():
            logits = network(**tokenizer(references, captions, **settings).to(device)).logits
        for pair, score in zip(part, logits.flatten().tolist(), strict=True):
            scores[pair] = score
    json.dump(scores, sys.stdout)


if __name__ == "__main__":
    main()
