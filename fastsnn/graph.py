"""What is computed: the list of layers fused into nodes of dense + activation + dropout. No
arrays.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace

from fastsnn.layers import SELU, AlphaDropout, Dense, Dropout, Layer, ReLU, Tanh

ACTIVATIONS = {SELU: "selu", ReLU: "relu", Tanh: "tanh"}
DROPOUTS = {AlphaDropout: "alpha", Dropout: "plain"}


@dataclass(frozen=True)
class Node:
    """One fused layer. `index` is the place of its Dense in the list: its parameters are
    "{index}.weight", "{index}.bias".
    """

    index: int
    fan_in: int
    fan_out: int
    activation: str = "none"  # none, selu, relu, tanh
    dropout: str = "none"  # none, alpha, plain
    rate: float = 0.0
    site: int = 0  # number of its dropout layer in the network, from 0

    @property
    def weight(self):
        return f"{self.index}.weight"

    @property
    def bias(self):
        return f"{self.index}.bias"


def fuse(layers: Sequence[Layer], input_size: int) -> tuple[Node, ...]:
    """Dense [+ activation] [+ dropout], again and again, and a Dense at the end: its outputs are
    the raw ones.

    Raises ValueError for another order and TypeError for what is no layer.
    """
    nodes, sites = [], 0
    fan_in = input_size
    for index, layer in enumerate(layers):
        where = f"layer {index} ({type(layer).__name__})"
        if isinstance(layer, Dense):
            nodes.append(Node(index, fan_in, layer.units))
            fan_in = layer.units
        elif type(layer) not in ACTIVATIONS and type(layer) not in DROPOUTS:
            known = "Dense, SELU, ReLU, Tanh, AlphaDropout, Dropout"
            raise TypeError(f"{where}: a layer is one of {known}; got {layer!r}")
        elif not nodes:
            raise ValueError(f"{where}: the first layer must be a Dense; put one before it")
        elif type(layer) in ACTIVATIONS:
            if nodes[-1].activation != "none" or nodes[-1].dropout != "none":
                raise ValueError(f"{where}: an activation must follow its Dense directly")
            nodes[-1] = replace(nodes[-1], activation=ACTIVATIONS[type(layer)])
        else:
            if nodes[-1].dropout != "none":
                raise ValueError(f"{where}: one dropout a Dense; take one of the two away")
            _warn_of_pairs(where, nodes[-1].activation, layer)
            kind = DROPOUTS[type(layer)]
            nodes[-1] = replace(nodes[-1], dropout=kind, rate=float(layer.rate), site=sites)
            sites += 1
    if not nodes or nodes[-1].activation != "none" or nodes[-1].dropout != "none":
        last = type(layers[-1]).__name__ if len(layers) else "nothing"
        raise ValueError(
            f"network: the last layer must be a Dense (its raw outputs go to the loss), got {last}"
        )
    return tuple(nodes)


def _warn_of_pairs(where, activation, layer):
    if isinstance(layer, Dropout) and activation == "selu":
        wanted = "plain Dropout after SELU breaks self-normalization; use AlphaDropout"
    elif isinstance(layer, AlphaDropout) and activation != "selu":
        wanted = f"AlphaDropout after {activation} is not what it was made for; use Dropout"
    else:
        return
    if layer.rate:
        warnings.warn(f"{where}: {wanted}", UserWarning, stacklevel=5)
