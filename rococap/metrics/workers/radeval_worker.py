"""Run by the Python that has RadEval 2, see `rococap.metrics.radeval`."""

from collections.abc import Callable
from contextlib import suppress
from importlib.metadata import version
from typing import Any

from answering import Pair, Scores, answer

_LABELLED = "f1chexbert"  # its F1 is no mean of images': labels are counted
_LARGE = {"green": "StanfordAIMI/GREEN-radllama2-7b"}  # takes a minute to load: looked for in the cache


def load(settings: dict[str, Any], wanted: bool) -> tuple[Callable[[list[Pair]], Scores], list[str]]:
    """Settings are `metrics`, RadEval's names, and `keys`, the scores that each of them gives, in that order."""
    with suppress(ImportError):
        import nltk

        nltk.download = lambda *_, **__: False  # RadEval would fetch what it needs when it is imported

    from radeval import RadEval

    names, keys = settings["metrics"], settings["keys"]
    loaded = [name for name in names if wanted or name not in _LARGE]
    for name in set(names) - set(loaded):
        _require_cached(_LARGE[name])
    plain = [name for name in loaded if name != _LABELLED]
    evaluator = RadEval(metrics=plain, per_sample=True, show_progress=False)
    labels = RadEval(metrics=[_LABELLED]).f1chexbert_scorer if _LABELLED in loaded else None

    def score(pairs: list[Pair]) -> Scores:
        references, captions = [reference for reference, _ in pairs], [caption for _, caption in pairs]
        columns = dict[str, list[Any]]()
        if plain:
            found = evaluator(refs=references, hyps=captions)
            columns = {key: [None if value is None else (value, 1.0) for value in found[key]] for key in found}
        if labels is not None:
            columns |= _counted(labels, references, captions)
        rows = zip(*(columns[key] for key in keys), strict=True)
        return [None if None in row else ([n for n, _ in row], [d for _, d in row]) for row in rows]

    return score, [f"radeval:{version('radeval')}"]


def _counted(labels: Any, references: list[str], captions: list[str]) -> dict[str, list[tuple[float, float]]]:
    """Of each pair what its labels add to micro F1: twice those of both, and those of each."""
    true, said = labels.get_labels(references), labels.get_labels(captions)
    chosen = {"f1chexbert_all_micro_f1": range(len(true[0])), "f1chexbert_5_micro_f1": labels.top5_idx}
    return {
        key: [
            (2.0 * sum(t[i] and s[i] for i in places), float(sum(t[i] + s[i] for i in places)))
            for t, s in zip(true, said, strict=True)
        ]
        for key, places in chosen.items()
    }


def _require_cached(model: str) -> None:
    from huggingface_hub import try_to_load_from_cache

    if not isinstance(try_to_load_from_cache(model, "config.json"), str):
        raise FileNotFoundError(f"{model} is not in the cache of the Hugging Face hub")


if __name__ == "__main__":
    answer(load)
