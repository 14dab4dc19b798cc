"""How many images a step sees: of one process, and of all that train a run together."""

from __future__ import annotations

from omegaconf import DictConfig, OmegaConf

from rococap.processes.gathering import number_of
from rococap.types import UserError

AUTO = "auto"


def processes(recipe: DictConfig) -> int:
    """How many train the run together, by its recipe."""
    return number_of(recipe.trainer.devices) * int(OmegaConf.select(recipe, "trainer.num_nodes", default=1))


def batch_of_all(recipe: DictConfig) -> int | None:
    """Images that all processes take together at a time; None where that is to be found."""
    together = OmegaConf.select(recipe, "data.global_batch_size", default=None)
    if together is None and recipe.data.batch_size == AUTO:
        return None
    return int(recipe.data.batch_size) * processes(recipe) if together is None else int(together)


def batch_of_each(recipe: DictConfig) -> int | None:
    """Images that each process takes at a time; None where that is to be found.

    Raises:
        UserError: the images of all cannot be shared out evenly.
    """
    together, count = batch_of_all(recipe), processes(recipe)
    if together is None:
        return None
    if together % count:
        raise UserError(
            f"data.global_batch_size={together} cannot be shared out evenly among {count} processes: take a multiple "
            f"of {count}."
        )
    return together // count
