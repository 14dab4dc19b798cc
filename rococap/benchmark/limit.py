"""The limit of a training run: its matrix products alone, in the shapes in which it does them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from math import prod
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

Shape = tuple[int, int, int, int]  # batch, m, k, n of [batch, m, k] x [batch, k, n]

aten = torch.ops.aten
_ATTENTION = {  # products of a fused kernel: scores and values, and backwards for each of the two both factors
    aten._scaled_dot_product_flash_attention_for_cpu: 1,
    aten._scaled_dot_product_flash_attention: 1,
    aten._scaled_dot_product_efficient_attention: 1,
    aten._scaled_dot_product_cudnn_attention: 1,
    aten._scaled_dot_product_flash_attention_for_cpu_backward: 2,
    aten._scaled_dot_product_flash_attention_backward: 2,
    aten._scaled_dot_product_efficient_attention_backward: 2,
    aten._scaled_dot_product_cudnn_attention_backward: 2,
}


class Products(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes the shape of every matrix product that is done within it, forwards and backwards."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.shapes: list[Shape] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.shapes.extend(_shapes(func.overloadpacket, args))
        return func(*args, **(kwargs or {}))

    @property
    def flop(self) -> int:
        """Floating-point operations, two for each multiply-add."""
        return sum(2 * prod(shape) for shape in self.shapes)


def _shapes(operation: Any, args: Any) -> Iterator[Shape]:
    if operation is aten.mm:
        yield 1, *args[0].shape, args[1].shape[1]
    elif operation is aten.addmm:
        yield 1, *args[1].shape, args[2].shape[1]
    elif operation is aten.bmm:
        yield *args[0].shape, args[1].shape[2]
    elif operation is aten.convolution:  # ViT's patches: each is seen once
        images, weight, stride = args[0], args[1], args[3]
        patches = images.shape[0] * (images.shape[2] // stride[0]) * (images.shape[3] // stride[1])
        yield 1, patches, prod(weight.shape[1:]), weight.shape[0]
    elif operation in _ATTENTION:
        backward = _ATTENTION[operation] == 2
        query, key = args[backward], args[backward + 1]
        batch, (m, k), n = query.shape[0] * query.shape[1], query.shape[2:], key.shape[2]
        for _ in range(_ATTENTION[operation]):
            yield batch, m, k, n
            yield batch, m, n, k


def seconds(shapes: list[Shape], dtype: torch.dtype, device: str) -> float:
    """Time to do nothing but these products, on data that is ready and into memory that is there."""
    operands = {shape: _operands(shape, dtype, device) for shape in set(shapes)}
    for shape in operands:
        torch.bmm(*operands[shape][:2], out=operands[shape][2])
    synchronize(device)
    begun = time.perf_counter()
    for shape in shapes:
        left, right, out = operands[shape]
        torch.bmm(left, right, out=out)
    synchronize(device)
    return time.perf_counter() - begun


def _operands(shape: Shape, dtype: torch.dtype, device: str) -> tuple[Tensor, Tensor, Tensor]:
    batch, m, k, n = shape
    sizes = ((batch, m, k), (batch, k, n), (batch, m, n))
    left, right, out = (torch.randn(size, dtype=dtype, device=device) for size in sizes)
    return left, right, out


def synchronize(device: str) -> None:
    """Wait for what was given to a GPU."""
    if device == "cuda":
        torch.cuda.synchronize()
