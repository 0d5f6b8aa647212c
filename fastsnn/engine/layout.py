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
    """Return the smallest multiple of `multiple` that is >= n."""
    return -(-n // multiple) * multiple


def aligned_zeros(*dimensions: int, dtype: type = np.float32) -> np.ndarray:
    """Return zeros aligned to 64 bytes, so that no vector load crosses a cache line."""
    nbytes = math.prod(dimensions) * np.dtype(dtype).itemsize
    if nbytes >= 1 << 47:  # beyond the address space of a process
        raise MemoryError("a buffer of more than 2**47 bytes is required")
    raw = np.zeros(nbytes + 64, np.uint8)
    start = -raw.ctypes.data % 64
    return raw[start : start + nbytes].view(dtype).reshape(dimensions)


@dataclass(frozen=True)
class ParameterLayout:
    """Positions of the tensors in the flat parameter buffer: {name: (offset in floats, shape)}, in
    the order of the network.
    """

    tensors: dict[str, tuple[int, tuple[int, ...]]]
    derived: dict[str, tuple[int, tuple[int, ...]]]  # computed from others; not in a state dict
    size: int  # floats, including those that kernels may read after the last tensor

    def views(self, flat: np.ndarray) -> dict[str, np.ndarray]:
        """Return the tensors as views of a flat buffer."""
        return {
            name: flat[start : start + math.prod(shape_)].reshape(shape_)
            for name, (start, shape_) in self.tensors.items()
        }

    def trained(self, flat: np.ndarray) -> dict[str, np.ndarray]:
        """Return `views` of the tensors that an optimizer changes: all but running statistics."""
        views = self.views(flat)
        return {name: view for name, view in views.items() if ".running_" not in name}

    def at(self, name: str) -> int:
        """Return the offset of a tensor in floats."""
        return (self.tensors if name in self.tensors else self.derived)[name][0]


def parameter_layout(nodes: tuple[Node, ...]) -> ParameterLayout:
    """Return the layout of all tensors of a network; each starts on a cache line."""
    tensors: dict[str, tuple[int, tuple[int, ...]]] = {}
    derived: dict[str, tuple[int, tuple[int, ...]]] = {}
    size = 0
    for node in nodes:
        for name, dimensions, is_derived in OPS[node.op].tensors(node):
            (derived if is_derived else tensors)[name] = size, dimensions
            size += round_up(math.prod(dimensions), LINE)
    return ParameterLayout(tensors, derived, size + round_up(shape.STRIP, LINE))
