"""What a value must keep to beyond its type. Imports nothing heavy, and holds for every model and dataset."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from typing import Any

from rococap.checks.source import Definition, NoSuchName, find

_FOLDER_BYTES = 255  # the longest name that common file systems take
_FOLDER = re.compile(r"[\w+=,@%-][\w.+=,@%-]*")


def _at_least(low: int) -> tuple[Callable[[float], bool], str]:
    return (lambda value: value >= low, f"at least {low}")


_SHARE = (lambda value: 0 <= value <= 1, "from 0 to 1")
_POSITIVE = (lambda value: value > 0, "more than 0")

ON_CHANGE = ("stop", "keep", "rerun")
KINDS = ("all", "manual")
THRESHOLDS = ("global", "per_class")

# By path; only numbers that are there are held against it.
RANGES: dict[str, tuple[Callable[[float], bool], str]] = {
    "seed": (lambda value: 0 <= value < 2**32, "from 0 to 4294967295, as NumPy wants"),
    "concepts.min_count": _at_least(1),
    "concepts.neighbours": _at_least(1),
    "concepts.weight": _at_least(0),
    "data.fraction": (lambda value: 0 < value <= 1, "more than 0 and at most 1"),
    "data.batch_size": _at_least(1),
    "data.global_batch_size": _at_least(1),
    "data.length_pool": _at_least(1),
    "data.workers": _at_least(0),
    "data.val_images": _at_least(1),
    "data.max_tokens": _at_least(2),
    "data.window": _at_least(1),
    "decoding.max_new_tokens": _at_least(1),
    "decoding.num_beams": _at_least(1),
    "decoding.batch_size": _at_least(1),
    "model.heads": _at_least(1),
    "lora.rank": _at_least(1),
    "lora.alpha": _POSITIVE,
    "lora.dropout": (lambda value: 0 <= value < 1, "at least 0 and less than 1"),
    "optimizer.lr": _POSITIVE,
    "optimizer.weight_decay": _at_least(0),
    "scheduler.warmup": _SHARE,
    "augment.rotation": (lambda value: 0 <= value <= 180, "from 0 to 180 degrees"),
    "augment.shift": _SHARE,
    "augment.scale": (lambda value: 0 <= value < 1, "at least 0 and less than 1"),
    "augment.brightness": _SHARE,
    "augment.contrast": _SHARE,
    "augment.gamma": _at_least(0),
    "augment.noise": _SHARE,
    "trainer.max_epochs": _at_least(1),
    "trainer.accumulate_grad_batches": _at_least(1),
    "trainer.limit_val_batches": _POSITIVE,
    "trainer.check_val_every_n_epoch": _at_least(1),
    "trainer.num_nodes": _at_least(1),
}
# Of Lightning's: a process for each device, which holds the whole model. A sharded one, as of fsdp, would take part in
# every caption of the others; and Lightning has no fsdp for a CPU, to test that by.
STRATEGIES = ("auto", "ddp", "ddp_find_unused_parameters_false", "ddp_find_unused_parameters_true")
FEATURES = ("auto", "fp16", "fp32", "off")


def out_of_range(config: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Paths and what is wrong there, of a config in plain values."""
    for path, (holds, said) in RANGES.items():
        value = _at(config, path)
        if isinstance(value, int | float) and not isinstance(value, bool) and not holds(value):
            yield path, f"must be {said}, not {value}"
    if (on_change := config.get("on_change")) not in ON_CHANGE:
        yield "on_change", f"must be {', '.join(ON_CHANGE)}, not {on_change!r}"
    if not isinstance(size := _at(config, "data.batch_size"), int | None) and size not in ("auto", "???"):
        yield "data.batch_size", f"must be a whole number or auto, not {size!r}"
    if (stream := _at(config, "data.stream")) not in (True, False, "auto", "???", None):
        yield "data.stream", f"must be true, false or auto, not {stream!r}"
    if size == "auto" and _at(config, "data.global_batch_size") is not None:
        yield "data.batch_size", "must not be auto beside data.global_batch_size, which says it already"
    if isinstance(name := config.get("name"), str) and (fault := _folder_fault(name)):
        yield "name", fault
    if (features := config.get("features", "auto")) not in FEATURES:
        yield "features", f'must be one of {", ".join(FEATURES)}, not {features} (in YAML: features: "off")'
    if (strategy := _at(config, "trainer.strategy") or "auto") not in STRATEGIES:
        yield (
            "trainer.strategy",
            f"must be one of {', '.join(STRATEGIES)}, not {strategy}: each process holds the model",
        )
    if (kind := _at(config, "concepts.kind")) not in KINDS:
        yield "concepts.kind", f"must be {' or '.join(KINDS)}, not {kind!r}"
    if fault := _threshold_fault(_at(config, "concepts.threshold")):
        yield "concepts.threshold", fault
    yield from _monitor(config)


def _at(config: Any, path: str) -> Any:
    for key in path.split("."):
        config = config.get(key) if isinstance(config, dict) else None
    return config


def _threshold_fault(threshold: Any) -> str | None:
    if threshold in THRESHOLDS or threshold == "???":
        return None
    if isinstance(threshold, int | float) and not isinstance(threshold, bool) and 0 < threshold < 1:
        return None
    return f"must be {', '.join(THRESHOLDS)} or a number between 0 and 1, not {threshold!r}"


def _folder_fault(name: str) -> str | None:
    """Why a name can't be a folder below multirun/."""
    for part in name.split("/"):
        if len(part.encode()) > _FOLDER_BYTES:
            return f"makes a folder name of {len(part.encode())} bytes; {_FOLDER_BYTES} is the most"
        if not _FOLDER.fullmatch(part):
            return f"must be a folder below multirun/: letters, digits and _ - . + = , @ %, as in a/b; not {name!r}"
    return None


def _monitor(config: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The best checkpoint can only be that of a value which validation gives."""
    monitor = config.get("monitor")
    names = [_score_names(metric) for metric in (config.get("metrics") or {}).values()]
    if not isinstance(monitor, str) or monitor in {"auto", "val/loss"} or None in names:
        return
    given = ["val/loss", *(f"val/{name}" for each in names for name in each or ())]
    if monitor not in given:
        yield "monitor", f"must be auto or a value that the chosen metrics give ({', '.join(given)}), not {monitor!r}"


def _score_names(metric: Any) -> tuple[str, ...] | None:
    """The `names` that a metric's class declares; None where they can't be read."""
    try:
        found = find(metric["_target_"])
    except (NoSuchName, KeyError, TypeError):
        return None
    if isinstance(found, Definition) and isinstance(found.node, ast.ClassDef):
        for statement in found.node.body:
            match statement:
                case ast.Assign(targets=[ast.Name(id="names")], value=ast.Tuple() as names):
                    return tuple(ast.literal_eval(names))
    return None
