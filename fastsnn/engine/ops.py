"""The kinds of nodes, one class each: their tensors, the initial values, and the columns that they
set in the program.

To add a kind: write a class and its row in `OPS` here, its code in `kernels/program.py`, and its
kernels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.random import Generator

from fastsnn.engine.graph import Node
from fastsnn.kernels import program

Tensors = dict[str, np.ndarray]
Offset = Callable[[str], int]  # name of a tensor -> its offset in floats


class Tensor(NamedTuple):
    """Name and shape of a tensor of a node."""

    name: str
    shape: tuple[int, ...]
    derived: bool = False  # computed from others; not in a state dict


class Op:
    """A kind of node. `code`: its value in the column OP."""

    code: ClassVar[int]
    random: ClassVar[bool] = False  # initial weights are drawn from a random stream
    # Stores its normalized input and statistics for the backward pass.
    normalizes: ClassVar[bool] = False

    def tensors(self, node: Node) -> Iterator[Tensor]:
        """Yield the tensors of a node in the order of a state dict."""
        return iter(())

    def start(self, node: Node, tensors: Tensors, generator: Generator | None) -> None:
        """Write the initial values of a node's tensors. generator: the node's own if the kind is
        `random`, else None.
        """

    def describe(self, node: Node, row: np.ndarray, constants: np.ndarray, at: Offset) -> None:
        """Set the columns of this kind in a node's row and constants. at: offset by name."""


class Dense(Op):
    code = program.DENSE
    random = True

    def tensors(self, node: Node) -> Iterator[Tensor]:
        weight = node.fan_out, node.fan_in
        if node.weight_norm:
            yield Tensor(f"{node.weight}_g", (node.fan_out, 1))
            yield Tensor(f"{node.weight}_v", weight)
        yield Tensor(node.weight, weight, node.weight_norm)
        yield Tensor(node.bias, (node.fan_out,))

    def start(self, node: Node, tensors: Tensors, generator: Generator | None) -> None:
        assert generator is not None
        weight = tensors[f"{node.weight}_v" if node.weight_norm else node.weight]
        if node.init == "glorot_uniform":
            generator.random(dtype=np.float32, out=weight)
            weight -= np.float32(0.5)
            units = node.fan_out if node.gate_bias is None else node.fan_out // 2
            weight *= np.float32(2 * (6 / (node.fan_in + units)) ** 0.5)
        else:
            generator.standard_normal(dtype=np.float32, out=weight)
            deviation = node.fan_in**-0.5
            weight *= np.float32(deviation * 2**0.5 if node.init == "he_normal" else deviation)
        if node.weight_norm:
            length = np.sqrt((weight.astype(np.float64) ** 2).sum(1, keepdims=True))
            tensors[f"{node.weight}_g"][:] = length
        bias = tensors[node.bias]
        bias[:] = 0
        if node.gate_bias is not None:
            bias[node.fan_out // 2 :] = node.gate_bias

    def describe(self, node: Node, row: np.ndarray, constants: np.ndarray, at: Offset) -> None:
        row[program.W_AT], row[program.B_AT] = at(node.weight), at(node.bias)
        if node.weight_norm:
            row[program.G_AT], row[program.V_AT] = at(f"{node.weight}_g"), at(f"{node.weight}_v")


class LayerNorm(Op):
    code = program.LAYER_NORM
    normalizes = True

    def tensors(self, node: Node) -> Iterator[Tensor]:
        yield Tensor(node.weight, (node.fan_out,))
        yield Tensor(node.bias, (node.fan_out,))

    def start(self, node: Node, tensors: Tensors, generator: Generator | None) -> None:
        tensors[node.weight][:], tensors[node.bias][:] = 1, 0

    def describe(self, node: Node, row: np.ndarray, constants: np.ndarray, at: Offset) -> None:
        row[program.W_AT], row[program.B_AT] = at(node.weight), at(node.bias)
        constants[program.EPS] = node.eps


class BatchNorm(LayerNorm):
    code = program.BATCH_NORM

    def tensors(self, node: Node) -> Iterator[Tensor]:
        yield from super().tensors(node)
        yield Tensor(f"{node.name}.running_mean", (node.fan_out,))
        yield Tensor(f"{node.name}.running_var", (node.fan_out,))

    def start(self, node: Node, tensors: Tensors, generator: Generator | None) -> None:
        super().start(node, tensors, generator)
        tensors[f"{node.name}.running_mean"][:] = 0
        tensors[f"{node.name}.running_var"][:] = 1

    def describe(self, node: Node, row: np.ndarray, constants: np.ndarray, at: Offset) -> None:
        super().describe(node, row, constants, at)
        constants[program.MOMENTUM] = node.momentum
        row[program.RUNNING_AT] = at(f"{node.name}.running_mean")
        row[program.VARIANCE_AT] = at(f"{node.name}.running_var")


class Highway(Op):
    """The gate of a highway layer. It has no tensors: the dense node before it has them."""

    code = program.HIGHWAY


# Key: `Node.op`.
OPS: dict[str, Op] = {
    "dense": Dense(), "batch_norm": BatchNorm(), "layer_norm": LayerNorm(), "highway": Highway(),
}  # fmt: skip
