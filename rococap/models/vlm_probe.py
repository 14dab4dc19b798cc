"""What an image tells of an image-text model: the tokens that it becomes, the weights that take part, its words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from rococap.models.lora import whole_modules
from rococap.models.names import within
from rococap.models.patches import pooled
from rococap.types import UserError

if TYPE_CHECKING:
    from rococap.models.vlm import VLM

_LEADING = 8  # positions before the patches: a class token, and registers, of which towers have four


def tokens_and_unused(captioner: VLM) -> tuple[int, tuple[str, ...]]:
    """How many tokens an image becomes, and names of what of vision tower and projector takes no part in them."""
    network, family = captioner.model, captioner.family
    places = (family.tower, *family.projector)
    weights = {name: weight.requires_grad_() for name, weight in network.named_parameters() if within(name, places)}
    one = next(iter(weights.values()))
    pixels = torch.zeros(1, 3, *captioner.processor.image_size, dtype=one.dtype, device=one.device)
    with torch.enable_grad():
        features = captioner.look(pixels)
        _settle_grid(captioner, family.project(network.model, features) if captioner.cut == "before" else features)
        if captioner.grid is not None and captioner.grid != captioner.full_grid:
            assert captioner.full_grid is not None
            features = pooled(features, captioner.full_grid, captioner.grid)
        tokens = family.project(network.model, features) if captioner.cut == "before" else features
    taking_part = _leaves(tokens)
    idle = frozenset(name for name, weight in weights.items() if id(weight) not in taking_part)
    whole = whole_modules(network, idle)
    return tokens.shape[1], (*whole, *sorted(name for name in idle if not within(name, whole)))


def _settle_grid(captioner: VLM, tokens: Tensor) -> None:
    """Let go of a grid that a checkpoint's config promises and its vision tower does not give.

    Raises:
        UserError: it was to be averaged.
    """
    if captioner.full_grid is None:
        return
    rows, columns = captioner.full_grid
    if not 0 <= tokens.shape[1] - rows * columns <= _LEADING:
        if captioner.grid != captioner.full_grid:
            raise UserError(
                f"model.visual_tokens: the vision tower gives {tokens.shape[1]} tokens, which are no grid of {rows} x "
                f"{columns} patches.\nLeave it out (null)."
            )
        captioner.grid = captioner.full_grid = None


def require_sight(captioner: VLM, path: str) -> None:
    """Refuse a model whose words do not move with the image, or whose loss from features is not that from pixels.

    Raises:
        UserError: it is such a model.
    """
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (2, 3, *captioner.processor.image_size), dtype=torch.uint8, generator=generator)
    images = images.to(captioner.mean.device)
    words = captioner.processor.tokens("there is an image", 8)[0]
    labels = torch.tensor([words, words], device=images.device)
    kind: Any = f"model.path={path} is of type {captioner.model.config.model_type}, which model=vlm does not list"
    try:
        with torch.enable_grad():
            features = captioner.encode(images).detach().requires_grad_()
            loss, _ = captioner(features, labels, torch.ones_like(labels))
            (moved,) = torch.autograd.grad(loss, features)
        with torch.no_grad():
            ids = torch.cat([labels.new_tensor([captioner.prompt_ids] * 2), labels[:, :-1]], dim=1)
            pixels = (images.float() - captioner.mean) / captioner.std
            logits = captioner.model(input_ids=ids, pixel_values=pixels).logits[:, len(captioner.prompt_ids) - 1 :]
            whole = torch.nn.functional.cross_entropy(logits.flatten(0, 1).float(), labels.flatten(), reduction="sum")
    except (AttributeError, IndexError, RuntimeError, TypeError, ValueError) as error:
        raise UserError(f"{kind}: captions from its features fail: {error}") from error
    if not moved.flatten(1).any(dim=1).all():
        raise UserError(f"{kind}: its words do not move with the image.")
    if abs(loss - whole) > 1e-3 * whole:
        raise UserError(f"{kind}: from kept features its loss is {loss:.4f}, from pixels {whole:.4f}.")


def _leaves(output: Tensor) -> set[int]:
    """The parameters that a result was computed from, by their id."""
    found: set[int] = set()
    seen: set[Any] = set()
    waiting: list[Any] = [output.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if hasattr(node, "variable"):
            found.add(id(node.variable))
        waiting.extend(following for following, _ in node.next_functions)
    return found
