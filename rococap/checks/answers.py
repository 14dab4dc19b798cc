"""What a model says, captions or concepts, and what goes with it. Imports nothing heavy."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any

from rococap.checks.source import Definition, NoSuchName, evaluate, find

_CAPTIONS, _CONCEPTS = "captions", "concepts"
PROMPTS = ("gold", "predicted")  # concepts before each caption
_USUAL = {_CAPTIONS: "metrics=[bleu,meteor,rouge_l,cider]", _CONCEPTS: "metrics=[concepts]"}


def unanswered(config: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Paths and what is wrong there: metrics of other answers than the model's, what a detector cannot have."""
    model = answers(_node(config, "model").get("_target_"))
    metrics = config.get("metrics")
    for name, metric in metrics.items() if isinstance(metrics, dict) else ():
        scored = answers(metric.get("_target_")) if isinstance(metric, dict) else None
        if model and scored and model != scored:
            yield f"metrics.{name}", f"scores {scored}, and this model gives {model}; take {_USUAL[model]}"
    yield from _concepts(config, model)
    if model == _CONCEPTS:
        yield from _detector(config)


def answers(target: Any) -> str | None:
    """`captions` or `concepts`, as the class says that a target is or gives; None where nothing says it."""
    try:
        found = find(target) if isinstance(target, str) else None
    except NoSuchName:
        return None
    if isinstance(found, Definition) and isinstance(found.node, ast.FunctionDef) and found.node.returns is not None:
        found = evaluate(found.module, found.node.returns)
    while isinstance(found, Definition) and isinstance(found.node, ast.ClassDef):
        for statement in found.node.body:
            match statement:
                case (
                    ast.Assign(targets=[ast.Name(id="answers")], value=ast.Constant(value=str() as said))
                    | ast.AnnAssign(target=ast.Name(id="answers"), value=ast.Constant(value=str() as said))
                ):
                    return said
        bases = found.node.bases
        found = evaluate(found.module, bases[0]) if bases else None
    return None


def _concepts(config: dict[str, Any], model: str | None) -> Iterator[tuple[str, str]]:
    """Of concepts beside or before captions."""
    kind, settings = _node(config, "model").get("concepts"), _node(config, "concepts")
    if kind not in (None, *PROMPTS):
        yield "model.concepts", f"must be null, {' or '.join(PROMPTS)}, not {kind!r}"
    if kind == "predicted" and settings.get("run") is None:
        yield "concepts.run", "must name the folder of a detector's run, whose concepts model.concepts=predicted takes"
    if kind != "predicted" and settings.get("run") not in (None, "???"):
        yield "concepts.run", "is of model.concepts=predicted"
    if model == _CONCEPTS and settings.get("weight"):
        yield "concepts.weight", "is of a captioner, beside which concepts are learnt; a detector learns nothing else"


def _detector(config: dict[str, Any]) -> Iterator[tuple[str, str]]:
    lora = _node(config, "lora")
    adapts = str(lora.get("_target_"))
    if adapts.endswith(".train_nothing"):
        yield "lora", "must not be zero_shot with a detector: its head is new, and knows nothing before it is trained"
    if adapts.endswith(".add_lora") and lora.get("parts") != ["tower"]:
        yield "lora.parts", f"must be [tower] with a detector, which has no decoder, not {lora.get('parts')}"
    if _node(config, "precision").get("weights") in {"int8", "nf4"}:
        yield "precision", "must not be int8 or nf4 with a detector: they round a decoder, and it has none"
    if (beams := _node(config, "decoding").get("num_beams")) not in (1, "???", None):
        yield "decoding.num_beams", f"must be 1 with a detector, which generates nothing, not {beams}"


def _node(config: dict[str, Any], group: str) -> dict[str, Any]:
    node = config.get(group)
    return node if isinstance(node, dict) else {}
