"""`report.html`: one run on one page, drawn from its folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from rococap.data.kept.files import write_whole
from rococap.evaluation.slices import LEAST, slices
from rococap.models.base import Captioner, Model
from rococap.models.detector import Detector
from rococap.recipe.captioning import attending
from rococap.recipe.recipe import Recipe
from rococap.report.attention import Looks, attention, why_no_maps
from rococap.report.concept_words import SHEET, concept_words
from rococap.report.concepts import Detected, label_attention, why_no_label_maps
from rococap.report.finding import OnFinding, on_finding, with_finding
from rococap.report.gallery import choose, gallery
from rococap.report.page import html_table, page
from rococap.report.plots import by_part, curves, distributions
from rococap.report.samples import contact_sheet, sheet_of
from rococap.report.shown import Shown
from rococap.runs.folder import RunFolder, stopped_text
from rococap.runs.predictions import read_predictions
from rococap.runs.results import FILE, OTHERS, Row, per_sample_file, read_per_sample, read_results
from rococap.types import Example, Prediction, Split

_LEAD = Markup(
    "<strong class='warning'>Not for clinical use.</strong> What a model says may be wrong in any detail. "
    "Split {}, {} images; the best checkpoint is {}, of {} {:.4f}. {}"
)
_WARNED = Markup(" <strong class='warning'>{}.</strong>")
_NO_MAPS = Markup("<p class='quiet'>There are no heat maps: {}.</p>")
_GUARDS = {
    "unique_ratio": "different captions per caption",
    "repetition": "words in the longest phrase that a caption says twice, 95th percentile",
    "length_limit": "share of captions that were cut at the most tokens allowed",
    "length_ratio": "mean words of a caption over those of a reference",
    "common_share": "share equal to the most common training caption",
    "gold_concepts": "captions continue what is known of the image",
    "empty_share": "share of images for which no concept is predicted",
    "common_set": "share of images that are given the same concepts as most",
    "set_ratio": "predicted concepts over those that there are",
    "unknown_share": "share of the concepts that are no labels of this run",
    "over_untrained": "concept_f1 over the best of what learns nothing",
}
_SAMPLES = 20  # images on samples.png
Section = tuple[str, Markup]


def report(folder: RunFolder, split: Split, examples: Sequence[Example], captioner: Model | None) -> dict[str, Path]:
    """Write the page of a split that was captioned, and for test `samples.png`; gives the files by name.

    Args:
        examples: the split's images, in any order.
        captioner: with the weights that captioned, for heat maps; without one the page has none.
    """
    predictions = read_predictions(folder.path / "predictions" / f"{split}.jsonl")
    path = folder.path / ("report.html" if split == "test" else f"report_{split}.html")
    state = folder.state
    checkpoint, monitor, best = state["best_checkpoint"], state["monitor"], state["best_score"]
    warned = [text for texts in state.get("missing_images", {}).values() for text in texts]
    warned += state.get("doubts", {}).get(split, [])
    stopped = f"The run was {stopped_text(state)}." if folder.stopped else ""
    lead = _LEAD.format(split, f"{len(predictions):,}", checkpoint, monitor, best, stopped)
    lead += Markup("").join(map(_WARNED.format, warned))
    images = {example.id: example for example in examples}
    file = folder.path / FILE
    rows = [row for row in (read_results(file) if file.is_file() else []) if row.split == split]
    scores = read_per_sample(folder.path / per_sample_file(split)) if rows else {}
    shown = [Shown(images[p.id], p, scores.get(p.id, {})) for p in predictions]
    content = page(str(folder.config.name), lead, _sections(folder, split, rows, shown, captioner))
    write_whole(path, content)
    return {"report": path, **({"samples": _samples(folder, shown[:_SAMPLES])} if split == "test" else {})}


def _sections(
    folder: RunFolder,
    split: Split,
    rows: Sequence[Row],
    shown: Sequence[Shown],
    captioner: Model | None,
) -> Iterator[Section]:
    detected = Detected.of(folder, split)
    names = list(shown[0].scores) if shown else []
    monitored = str(folder.state["monitor"]).removeprefix("val/")
    metric = monitored if monitored in names else next(iter(names), "")
    if rows:
        yield "Scores", _scores(rows)
        if detected is not None:
            predictions = [one.prediction for one in shown]
            yield "Concepts", detected.concepts(predictions)
            yield "Precision and recall", detected.curves(predictions)
    yield "Guards", _guards(folder.state.get("guards", {}).get(split, []))
    if rows:
        yield "Where it is good", _parts(rows, metric, [one.prediction for one in shown])
        columns = {name: [one.scores[name] for one in shown] for name in names}
        yield "Scores of single images", _grid(distributions(columns))
    yield "Training", _grid(curves(folder.metrics(), names))
    groups, findings = choose(shown, metric), with_finding(shown)
    looks: Mapping[str, Looks] = {}
    wanted = [one for group in groups.values() for one in group]
    if captioner is not None and (why_not := _why_no_maps(captioner)):
        yield "Where it looks", _NO_MAPS.format(why_not)
    elif isinstance(captioner, Detector):
        looks = label_attention(captioner, Recipe.of_run(folder), wanted)
    elif isinstance(captioner, Captioner):
        asked = {one.example.id for one in wanted} | set(findings)
        asked_for = [one for one in shown if one.example.id in asked]
        looks = words = attention(captioner, attending(captioner, Recipe.of_run(folder)), asked_for)
        if findings:
            yield "Does it look at the finding?", _looks(on_finding(findings, words))
    yield f"Images{f', by {metric}' if metric else ''}", gallery(groups, looks, detected.names if detected else None)
    yield (
        "Recipe",
        Markup("<details><summary>config.yaml</summary><pre>{}</pre></details>").format(
            (folder.path / "config.yaml").read_text(encoding="utf-8")
        ),
    )


def _why_no_maps(model: Model) -> str | None:
    return why_no_maps(model) if isinstance(model, Captioner) else why_no_label_maps(model)


def _scores(rows: Sequence[Row]) -> Markup:
    found = {(row.system, row.metric): row for row in rows if row.slice == "all"}
    others = [system for system in OTHERS if any(other == system for other, _ in found)]
    lines = []
    for (system, name), row in found.items():
        if system == "model" and not name.endswith(("_blind", "_gain")):
            blind, gain = found.get((system, f"{name}_blind")), found.get((system, f"{name}_gain"))
            beside = [_value(found.get((other, name))) for other in others]
            lines.append([name, row.value, _ends(row), _value(blind), _value(gain), _ends(gain), *beside])
    header = ["metric", "score", "95 % interval", "blind", "gain", "95 % interval", *others]
    known = "".join(f" {system}: {OTHERS[system]}." for system in others)
    signatures = {name: row.signature for (system, name), row in found.items() if system == "model"}
    signed = [[name, text] for name, text in signatures.items() if not name.endswith(("_blind", "_gain"))]
    return html_table(header, lines) + Markup(
        "<p class='quiet'>Intervals are 95 % bootstrap intervals over images. Blind: the same captions given to other "
        "images. Gain: score over blind; a model that does not look has none. No interval: none is computed, or a few "
        "right captions more would leave it.{}</p>"
        "<details><summary>Signatures: how each score was made</summary>{}</details>"
    ).format(known, html_table(["metric", "signature"], signed))


def _guards(guards: Sequence[Mapping[str, Any]]) -> Markup:
    lines = []
    for guard in guards:
        kind, verdict = ("warning", guard["warning"]) if guard["warning"] else ("right", "in bounds")
        name = Markup("{}<br><code>{}</code>").format(_GUARDS[guard["name"]], guard["name"])
        lines.append([name, guard["value"], Markup("<span class='{}'>{}</span>").format(kind, verdict)])
    return html_table(["of all predictions", "value", ""], lines)


def _parts(rows: Sequence[Row], metric: str, predictions: Sequence[Prediction]) -> Markup:
    parts = {row.slice: row.n for row in rows if row.slice != "all"}
    values = {(row.slice, row.metric): row.value for row in rows}
    names = list(dict.fromkeys(row.metric for row in rows if row.slice in parts))
    lines = [[part, n, *(values.get((part, name), "") for name in names)] for part, n in parts.items()]
    small = [f"{name} ({len(images)})" for name, images in slices(predictions).items() if len(images) < LEAST]
    listed = ", ".join(small[:12]) + " ..." * (len(small) > 12)
    left_out = f" Left out, with fewer than {LEAST}: {listed}." if small else ""
    note = Markup(
        "<p class='quiet'>Parts of at least {} images, with 95 % intervals; the dotted line is the whole split. CIDEr "
        "takes its document frequencies from the whole split.{}</p>"
    ).format(LEAST, left_out)
    drawn = _grid(by_part(rows, metric)) + html_table(["part", "images", *names], lines) if parts else Markup("")
    return drawn + note


def _looks(found: Sequence[OnFinding]) -> Markup:
    if not found:
        return Markup("<p>No caption has a word for a finding.</p>")
    lines = [[one.fact, one.images, one.share, _range(one.low, one.high), one.area, one.elsewhere] for one in found]
    kind = next((one for one in found if one.fact == "kind"), found[0])
    header = ["word that says the", "images", "on the finding", "95 % interval", "area", "on findings of others"]
    said = Markup("<p>The word that says the {} has {:.1%} of its attention on the finding: {:.1f} times chance.</p>")
    note = Markup(
        "<p class='quiet'>Share of a word's attention that lies on the finding, whose place the phantom knows. By "
        "chance it would be the finding's share of the image's area; by looking only where findings usually are, "
        "what lies on the findings of other images of the modality.</p>"
    )
    return said.format(kind.fact, kind.share, kind.share / kind.area) + html_table(header, lines) + note


def _samples(folder: RunFolder, shown: Sequence[Shown]) -> Path:
    path = folder.path / "samples.png"
    captions, images = [one.prediction for one in shown], [one.image for one in shown]
    if (detected := Detected.of(folder, "test")) is not None:
        words = [[(f"{name};", colour) for name, colour in concept_words(each, detected.names)] for each in captions]
        sheet_of(images, [[each] for each in words], SHEET, path)
        return path
    references = [next(iter(caption.references), "") for caption in captions]
    contact_sheet(images, [caption.prediction for caption in captions], references, path)
    return path


def _grid(plots: Sequence[Markup]) -> Markup:
    return Markup("<div class='plots'>{}</div>").format(Markup("").join(plots))


def _value(row: Row | None) -> float | str:
    return "" if row is None else row.value


def _ends(row: Row | None) -> str:
    return "" if row is None or row.ci_low is None or row.ci_high is None else _range(row.ci_low, row.ci_high)


def _range(low: float, high: float) -> str:
    return f"{low:z.4f}\N{NO-BREAK SPACE}..\N{NO-BREAK SPACE}{high:z.4f}"
