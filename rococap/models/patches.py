"""The grid of patches that a vision tower gives, averaged to a smaller one."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from rococap.types import UserError


def pooled_grid(grid: tuple[int, int] | None, visual_tokens: int | None) -> tuple[int, int] | None:
    """Rows and columns of a grid averaged to a square of so many; raises UserError where it does not fit."""
    if visual_tokens is None:
        return grid
    if grid is None:
        raise UserError(
            f"model.visual_tokens={visual_tokens}: what this vision tower gives is no grid of patches, or none known.\n"
            "Leave it out (null)."
        )
    side = int(max(visual_tokens, 0) ** 0.5 + 0.5)
    if side * side != visual_tokens or not 1 <= side <= min(grid):
        squares = ", ".join(str(n * n) for n in range(min(grid), 0, -1) if all(length % n == 0 for length in grid))
        raise UserError(
            f"model.visual_tokens={visual_tokens}: the vision tower gives {grid[0]} x {grid[1]} patches.\n"
            f"Take one of {squares}."
        )
    return side, side


def pooled(features: Tensor, grid: tuple[int, int], to: tuple[int, int]) -> Tensor:
    """Average the patches of `[batch, positions, width]` to a smaller grid; positions before the patches stay."""
    lead = features.shape[1] - grid[0] * grid[1]
    patches = features[:, lead:].transpose(1, 2).reshape(len(features), -1, *grid)
    averaged = functional.adaptive_avg_pool2d(patches, to).flatten(2).transpose(1, 2)
    return torch.cat([features[:, :lead], averaged], dim=1)
