"""The graph of a network: its list of layers fused into a chain of nodes with skip connections.

A node is dense + activation + dropout, or normalization + activation + dropout, or the gate of a
highway layer. Before its activation, the output of another node can be added (`skip`). This module
allocates no arrays.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from fastsnn.checks.scalars import shown
from fastsnn.layers import (
    LAYERS,
    SELU,
    Activation,
    AlphaDropout,
    Dense,
    Dropout,
    Dropping,
    Highway,
    Layer,
    Normalizing,
    Residual,
)


@dataclass(frozen=True)
class Node:
    """One fused node of the chain. Its tensors are "{name}.weight", "{name}.bias", ..."""

    name: str  # index of its layer in the list, such as "3", or "3.0" inside a residual block
    fan_in: int
    fan_out: int
    op: str = "dense"  # key of ops.OPS
    activation: str = "none"  # key of kernels.activations.ACTIVATIONS
    fixed_point: tuple[float, float] = (0.0, 1.0)  # selu: mean and variance
    dropout: str = "none"  # none, alpha, plain
    rate: float = 0.0  # dropout probability in [0, 1)
    site: int = 0  # index of its dropout layer in the network, from 0
    init: str = "lecun_normal"
    weight_norm: bool = False
    gate_bias: float | None = None  # initial bias of the second half of the units (highway)
    eps: float = 0.0  # normalization: added to the variance
    momentum: float = 0.0  # batch normalization: weight of the batch in the running statistics
    skip: int | None = None  # index of the node whose output is added, or carried by a highway

    @property
    def weight(self) -> str:
        """Name of the weights (fan_out, fan_in), such as "3.weight"."""
        return f"{self.name}.weight"

    @property
    def bias(self) -> str:
        """Name of the biases (fan_out,), such as "3.bias"."""
        return f"{self.name}.bias"

    @property
    def couples_rows(self) -> bool:
        """True if in training the outputs of a row depend on other rows."""
        return self.op == "batch_norm"


def fuse(layers: Sequence[Layer], input_size: int) -> tuple[Node, ...]:
    """Fuse a list of layers into nodes.

    Accepted order: any number of the groups Dense [+ normalization] [+ activation]
    [+ normalization] [+ dropout], Highway and Residual, starting with a Dense, and a final Dense,
    whose outputs are the raw outputs of the network.

    Raises ValueError for an unsupported order and TypeError for objects that are not layers.
    """
    builder = _Builder(input_size)
    for index, layer in enumerate(layers):
        builder.add(layer, str(index))
    nodes = builder.nodes
    last = type(layers[-1]).__name__ if len(layers) else "nothing"
    if last != "Dense":
        raise ValueError(
            f"network: the last layer must be a Dense (its raw outputs go to the loss), got {last}"
        )
    return tuple(nodes)


class _Builder:
    def __init__(self, input_size: int):
        self.nodes: list[Node] = []
        self.sites, self.width = 0, input_size
        self.group: set[str] = set()  # kinds of the layers since the last Dense

    def add(self, layer: Layer, name: str) -> None:
        where = f"layer {name} ({type(layer).__name__})"
        if type(layer) not in LAYERS.values():
            raise TypeError(f"{where}: a layer is one of {', '.join(LAYERS)}; got {shown(layer)}")
        if isinstance(layer, Dense):
            self._node(name, fan_out=layer.units, init=layer.init, weight_norm=layer.weight_norm)
            self.group = set()
        elif not self.nodes:
            raise ValueError(f"{where}: the first layer must be a Dense; put one before it")
        elif isinstance(layer, Highway):
            self._highway(layer, name)
        elif isinstance(layer, Residual):
            self._residual(layer, name, where)
        elif isinstance(layer, Activation):
            self._activation(layer, where)
        elif isinstance(layer, Normalizing):
            self._norm(layer, name, where)
        else:
            assert isinstance(layer, Dropping), where
            self._dropout(layer, where)

    def _node(self, name: str, fan_out: int, **more: Any) -> None:
        self.nodes.append(Node(name, self.width, fan_out, **more))
        self.width = fan_out

    def _change(self, **values: Any) -> None:
        self.nodes[-1] = replace(self.nodes[-1], **values)

    def _activation(self, layer: Activation, where: str) -> None:
        if self.group & {"activation", "dropout", "highway"}:
            raise ValueError(
                f"{where}: an activation must follow its Dense directly, or its normalization"
            )
        self.group.add("activation")
        self._change(activation=layer._kernel())
        if isinstance(layer, SELU):
            self._change(fixed_point=layer.fixed_point)

    def _norm(self, layer: Normalizing, name: str, where: str) -> None:
        if self.group & {"norm", "dropout", "highway"}:
            raise ValueError(
                f"{where}: at most one normalization per Dense, before its dropout; remove this one"
            )
        self.group.add("norm")
        momentum = getattr(layer, "momentum", 0.0)
        self._node(name, self.width, op=layer._op, eps=layer.eps, momentum=momentum)

    def _dropout(self, layer: Dropping, where: str) -> None:
        if "dropout" in self.group:
            raise ValueError(f"{where}: at most one dropout per Dense; remove one of the two")
        _warn_about_dropout(where, self._last_activation(), layer)
        self.group.add("dropout")
        self._change(dropout=layer._dropout, rate=float(layer.rate), site=self.sites)
        self.sites += 1

    def _last_activation(self) -> str:
        """Return the activation of the group; a normalization may have followed it."""
        node = self.nodes[-1]
        if node.activation == "none" and node.op != "dense" and node.skip is None:
            node = self.nodes[-2]
        return node.activation

    def _highway(self, layer: Highway, name: str) -> None:
        source = len(self.nodes) - 1
        width = self.width
        self._node(name, 2 * width, init=layer.init, gate_bias=float(layer.gate_bias))
        self._node(name, width, op="highway", skip=source)
        self.group = {"highway"}

    def _residual(self, layer: Residual, name: str, where: str) -> None:
        source, width = len(self.nodes) - 1, self.width
        if not layer.layers or not isinstance(layer.layers[0], Dense):
            raise ValueError(f"{where}: the first layer inside must be a Dense")
        if not isinstance(layer.layers[-1], Dense | Normalizing):
            raise ValueError(f"{where}: the last layer inside must be a Dense or a normalization")
        for index, inner in enumerate(layer.layers):
            if isinstance(inner, Residual | Highway):
                raise ValueError(f"{where}: no {type(inner).__name__} inside")
            self.add(inner, f"{name}.{index}")
        if self.group & {"activation"}:
            raise ValueError(f"{where}: the output that is added must not have an activation")
        if self.width != width:
            raise ValueError(
                f"{where}: it must have as many outputs as inputs, got {self.width} and {width}"
            )
        self._change(skip=source)


def _warn_about_dropout(where: str, activation: str, layer: Dropping) -> None:
    if isinstance(layer, Dropout) and activation == "selu":
        wanted = "plain Dropout after SELU breaks self-normalization; use AlphaDropout"
    elif isinstance(layer, AlphaDropout) and activation != "selu":
        wanted = f"AlphaDropout after {activation} does not preserve mean and variance; use Dropout"
    else:
        return
    if layer.rate:
        warnings.warn(f"{where}: {wanted}", UserWarning, stacklevel=6)
