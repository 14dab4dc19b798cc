"""The guards of a run's answers, in validation and at its end."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from rococap.metrics.concept_guards import ConceptWatch
from rococap.metrics.guards import UPPER_BOUND, Guard, Watch
from rococap.models.base import Captioner, Model
from rococap.recipe.recipe import Recipe
from rococap.runs.folder import RunFolder
from rococap.types import Concept, Example, Scorer

log = logging.getLogger(__name__)

# From texts, and captions and concepts of their images, to guards.
Watching = Callable[[Sequence[str], Sequence[Sequence[str]], Sequence[Sequence[Concept]]], list[Guard]]


def watch(captioner: Model, folder: RunFolder, recipe: Recipe) -> Watching:
    """The guards of what a run's model says."""
    if not isinstance(captioner, Captioner):
        return ConceptWatch(frozenset(recipe.labels.cuis))
    processor, limit = captioner.processor, recipe.decoding.max_new_tokens
    watch = Watch(
        length=lambda text: len(processor.tokens(text, limit)[0]),
        limit=limit,
        common=folder.state.get("common_caption", ""),
    )
    if captioner.prompted != "gold":
        return watch
    return lambda texts, captions, concepts: [*watch(texts, captions, concepts), UPPER_BOUND]


def watched(scorer: Scorer | None, watch: Watching) -> Scorer | None:
    """A scorer that gives the guards' values too, and says what a guard means that is out of bounds."""
    if scorer is None:
        return None

    def watched_score(texts: Sequence[str], examples: Sequence[Example]) -> dict[str, float]:
        guards = watch(texts, [e.captions for e in examples], [e.concepts for e in examples])
        for guard in guards:
            if guard.warning:
                log.warning("%s", guard.warning)
        return {**scorer(texts, examples), **{guard.name: guard.value for guard in guards}}

    return watched_score
