"""Where a run's data lies, which is no part of its recipe: what counts is what the data holds."""

from __future__ import annotations

from argparse import ArgumentParser

from omegaconf import DictConfig, OmegaConf

from rococap.types import UserError

# Settings that say where things lie, and nothing of what they are. A dataset's fingerprint says that.
PLACE = ("data.root", "data.path", "data.source.root")


def add_root(parser: ArgumentParser) -> None:
    """The option of commands that open a run's folder and its data."""
    parser.add_argument("--root", metavar="DIR", help="where the run's data lies now, if it has moved")


def with_root(recipe: DictConfig, root: str | None) -> DictConfig:
    """A run's recipe whose data lies elsewhere; as it is where that is not said.

    Raises:
        UserError: it has no data that lies anywhere.
    """
    if root is None:
        return recipe
    if OmegaConf.select(recipe, PLACE[-1], default=PLACE) is PLACE:
        raise UserError(f"--root {root}: this run's data lies in no folder ({recipe.data.source._target_}).")
    moved = recipe.copy()
    for place in ("data.root", "data.source.root"):
        OmegaConf.update(moved, place, root)
    return moved
