"""The graph of a network: its list of layers fused into nodes, a chain with some skips. No arrays.

A node is dense + activation + dropout, or normalization + activation + dropout, or the end of a
highway layer; before its activation another node's output may be added (`skip`).
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
    """One fused step of the chain; its tensors are "{name}.weight", "{name}.bias", ...: the place
    of its layer in the list.
    """

    name: str
    fan_in: int
    fan_out: int
    op: str = "dense"  # a row of ops.OPS
    activation: str = "none"  # a row of fastsnn.kernels.activations
    fixed_point: tuple[float, float] = (0.0, 1.0)  # of selu
    dropout: str = "none"  # none, alpha, plain
    rate: float = 0.0
    site: int = 0  # number of its dropout layer in the network, from 0
    init: str = "lecun_normal"
    weight_norm: bool = False
    gate_bias: float | None = None  # where the biases of the second half of the units start
    eps: float = 0.0  # of a normalization
    momentum: float = 0.0  # of batch normalization
    skip: int | None = None  # number of the node whose output is added, or carried by a highway

    @property
    def weight(self) -> str:
        return f"{self.name}.weight"

    @property
    def bias(self) -> str:
        return f"{self.name}.bias"

    @property
    def couples_rows(self) -> bool:
        """True if in training a row's outputs depend on the other rows."""
        return self.op == "batch_norm"


def fuse(layers: Sequence[Layer], input_size: int) -> tuple[Node, ...]:
    """Dense [+ normalization] [+ activation] [+ normalization] [+ dropout], Highway, Residual,
    again and again, and a Dense at the end: its outputs are the raw ones.

    Raises ValueError for another order and TypeError for what is no layer.
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
                f"{where}: one normalization a Dense, before its dropout; take the other away"
            )
        self.group.add("norm")
        momentum = getattr(layer, "momentum", 0.0)
        self._node(name, self.width, op=layer._op, eps=layer.eps, momentum=momentum)

    def _dropout(self, layer: Dropping, where: str) -> None:
        if "dropout" in self.group:
            raise ValueError(f"{where}: one dropout a Dense; take one of the two away")
        _warn_of_pairs(where, self._last_activation(), layer)
        self.group.add("dropout")
        self._change(dropout=layer._dropout, rate=float(layer.rate), site=self.sites)
        self.sites += 1

    def _last_activation(self) -> str:
        """The activation of the group, which a normalization may follow."""
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
            raise ValueError(f"{where}: what is added must not have an activation of its own")
        if self.width != width:
            raise ValueError(
                f"{where}: it must have as many outputs as inputs, got {self.width} and {width}"
            )
        self._change(skip=source)


def _warn_of_pairs(where: str, activation: str, layer: Dropping) -> None:
    if isinstance(layer, Dropout) and activation == "selu":
        wanted = "plain Dropout after SELU breaks self-normalization; use AlphaDropout"
    elif isinstance(layer, AlphaDropout) and activation != "selu":
        wanted = f"AlphaDropout after {activation} is not what it was made for; use Dropout"
    else:
        return
    if layer.rate:
        warnings.warn(f"{where}: {wanted}", UserWarning, stacklevel=6)
