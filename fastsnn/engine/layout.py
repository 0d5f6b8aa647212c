"""The layout of the parameters: all tensors of a network in one flat buffer."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from fastsnn.engine.graph import Node
from fastsnn.engine.ops import OPS
from fastsnn.kernels.cpu import shape

LINE = 16  # floats of a cache line: every tensor starts on one


def round_up(n: int, multiple: int) -> int:
    """The smallest multiple that is at least n."""
    return -(-n // multiple) * multiple


def aligned_zeros(*dimensions: int, dtype: type = np.float32) -> np.ndarray:
    """Zeros that start on a cache line: a vector of 64 bytes never crosses two."""
    nbytes = math.prod(dimensions) * np.dtype(dtype).itemsize
    if nbytes >= 1 << 47:  # beyond the address space of a process
        raise MemoryError("a buffer of more than 2**47 bytes is required")
    raw = np.zeros(nbytes + 64, np.uint8)
    start = -raw.ctypes.data % 64
    return raw[start : start + nbytes].view(dtype).reshape(dimensions)


@dataclass(frozen=True)
class ParameterLayout:
    """Tensors by name in the flat parameter buffer, in the order of the network: the place of the
    first float, and the shape.
    """

    tensors: dict[str, tuple[int, tuple[int, ...]]]
    derived: dict[str, tuple[int, tuple[int, ...]]]  # computed from others, in no state dict
    size: int  # floats, with those that kernels may read after the last tensor

    def views(self, flat: np.ndarray) -> dict[str, np.ndarray]:
        """The tensors as views of a flat buffer."""
        return {
            name: flat[start : start + math.prod(shape_)].reshape(shape_)
            for name, (start, shape_) in self.tensors.items()
        }

    def trained(self, flat: np.ndarray) -> dict[str, np.ndarray]:
        """`views` of what an optimizer changes: all but running statistics."""
        views = self.views(flat)
        return {name: view for name, view in views.items() if ".running_" not in name}

    def at(self, name: str) -> int:
        """The place of a tensor's first float."""
        return (self.tensors if name in self.tensors else self.derived)[name][0]


def parameter_layout(nodes: tuple[Node, ...]) -> ParameterLayout:
    """Lay out all tensors of a network, each from a cache line on."""
    tensors: dict[str, tuple[int, tuple[int, ...]]] = {}
    derived: dict[str, tuple[int, tuple[int, ...]]] = {}
    size = 0
    for node in nodes:
        for name, dimensions, is_derived in OPS[node.op].tensors(node):
            (derived if is_derived else tensors)[name] = size, dimensions
            size += round_up(math.prod(dimensions), LINE)
    return ParameterLayout(tensors, derived, size + round_up(shape.STRIP, LINE))
