"""A checkpoint's content put back into a model."""

from __future__ import annotations

from typing import Any

from rococap.models.base import Model, captioner_state


def load_checkpoint(model: Model, checkpoint: dict[str, Any]) -> None:
    """Put a checkpoint's weights and facts into a model of the same recipe.

    Raises:
        UserError: it has none, or those of another model.
    """
    state = captioner_state(checkpoint)
    model.load_facts(checkpoint.get("facts", {}))
    model.load_trainable_state(state)
