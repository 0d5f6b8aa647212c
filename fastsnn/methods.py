"""Networks that the paper compares, by name (Klambauer et al. 2017, section "Experiments")."""

from collections.abc import Callable

from fastsnn.checks.scalars import integer, number, shown
from fastsnn.layers import (
    MOST_LAYERS,
    MOST_UNITS,
    SELU,
    AlphaDropout,
    BatchNorm,
    Dense,
    Dropout,
    Highway,
    Layer,
    LayerNorm,
    ReLU,
    Residual,
)
from fastsnn.network import Network

__all__ = ["METHODS", "SHAPES", "network", "widths"]

SHAPES = ("rectangular", "conic")
HE = "he_normal"


def _snn(width: int, rate: float) -> list[Layer]:
    return [Dense(width), SELU(), *_dropout(AlphaDropout, rate)]


def _msra(width: int, rate: float) -> list[Layer]:
    return [Dense(width, HE), ReLU(), *_dropout(Dropout, rate)]


def _batchnorm(width: int, rate: float) -> list[Layer]:
    return [Dense(width, HE), ReLU(), BatchNorm(), *_dropout(Dropout, rate)]


def _layernorm(width: int, rate: float) -> list[Layer]:
    return [Dense(width, HE), LayerNorm(), ReLU(), *_dropout(Dropout, rate)]


def _weightnorm(width: int, rate: float) -> list[Layer]:
    return [Dense(width, HE, weight_norm=True), ReLU(), *_dropout(Dropout, rate)]


def _highway(width: int, rate: float) -> list[Layer]:
    return [Highway(), *_dropout(Dropout, rate)]


def _block(width: int, rate: float, bottleneck: float = 0.5) -> list[Layer]:
    inside = max(1, round(bottleneck * width))
    layers: list[Layer] = [Dense(inside, HE), BatchNorm(), ReLU(), Dense(width, HE), BatchNorm()]
    return [Residual(layers), ReLU(), *_dropout(Dropout, rate)]


def _dropout(kind: type[AlphaDropout] | type[Dropout], rate: float) -> list[Layer]:
    return [kind(rate)] if rate else []


# Layers that make one hidden layer. Highway layers and residual blocks need a layer before them.
HIDDEN: dict[str, Callable[[int, float], list[Layer]]] = {
    "snn": _snn,
    "msra": _msra,
    "batchnorm": _batchnorm,
    "layernorm": _layernorm,
    "weightnorm": _weightnorm,
    "highway": _highway,
    "resnet": _block,
}
METHODS = tuple(HIDDEN)
EQUAL_WIDTHS = ("highway", "resnet")


def widths(shape: str, layers: int, width: int, output_size: int) -> list[int]:
    """Return the number of units of each hidden layer.

    Parameters
    ----------
    shape : {"rectangular", "conic"}
        "rectangular": all layers have `width` units. "conic": a geometric progression that begins
        with `width` and would reach `output_size` with the output layer.
    layers, width, output_size : int >= 1
        Number of hidden layers, units of the first one, and number of outputs.

    Returns
    -------
    list of int
        As many numbers >= 1 as there are layers.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type or is out of range.

    Examples
    --------
    >>> widths("conic", layers=3, width=64, output_size=8)
    [64, 32, 16]
    """
    if not isinstance(shape, str) or shape not in SHAPES:
        raise ValueError(f"shape: must be one of {', '.join(SHAPES)}; got {shown(shape)}")
    layers = integer(layers, "layers", 1, MOST_LAYERS)
    width = integer(width, "width", 1, MOST_UNITS)
    output_size = integer(output_size, "output_size", 1, MOST_UNITS)
    ratio = 1.0 if shape == "rectangular" else output_size / width
    return [max(1, round(width * ratio ** (i / layers))) for i in range(layers)]


def network(
    method: str,
    input_size: int,
    output_size: int,
    layers: int = 32,
    width: int = 256,
    dropout: float = 0.0,
    shape: str = "rectangular",
    bottleneck: float = 0.5,
    seed: int = 0,
) -> Network:
    """Return a network of one of the paper's methods.

    Parameters
    ----------
    method : {"snn", "msra", "batchnorm", "layernorm", "weightnorm", "highway", "resnet"}
        Kind of the hidden layers:

        - "snn": Dense (LeCun-normal), SELU, alpha-dropout
        - "msra": Dense (He-normal), ReLU, dropout
        - "batchnorm": Dense, ReLU, batch normalization, dropout
        - "layernorm": Dense, layer normalization, ReLU, dropout
        - "weightnorm": Dense with weight normalization, ReLU, dropout
        - "highway": highway layer, dropout
        - "resnet": residual block of two Dense layers with batch normalization, ReLU, dropout
    input_size : int >= 1
        Features of a row.
    output_size : int >= 1
        Raw outputs: number of classes, tasks or targets.
    layers : int >= 1
        Hidden layers. highway: the first one is an "msra" layer, which changes the width. resnet:
        number of blocks, after an "msra" layer.
    width : int >= 1
        Units of a hidden layer; of the first one if the shape is "conic".
    dropout : float in [0, 1)
        Probability of dropping a unit; 0 omits the dropout layers.
    shape : {"rectangular", "conic"}
        See `widths`. highway and resnet support "rectangular" only.
    bottleneck : float in (0, 1]
        resnet: units inside a block as a fraction of `width`.
    seed : int in [0, 2**64)
        Seed of the initial weights.

    Returns
    -------
    Network

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type or is out of range.
    """
    if not isinstance(method, str) or method not in HIDDEN:
        raise ValueError(f"method: must be one of {', '.join(METHODS)}; got {shown(method)}")
    layers = integer(layers, f"{method}: layers", 1, MOST_LAYERS)
    width = integer(width, f"{method}: width", 1, MOST_UNITS)
    output_size = integer(output_size, f"{method}: output_size", 1, MOST_UNITS)
    bottleneck = number(bottleneck, f"{method}: bottleneck", 0, 1, "(]")
    dropout = Dropout(dropout).rate
    if shape == "conic" and method in EQUAL_WIDTHS:
        raise ValueError(
            f"{method}: its layers must be equally wide, got the shape conic; take rectangular"
        )
    sizes = widths(shape, layers, width, output_size)
    hidden: list[Layer] = []
    if method in EQUAL_WIDTHS:
        hidden += _msra(width, dropout)
        sizes = sizes[1:] if method == "highway" else sizes
    for size in sizes:
        if method == "resnet":
            hidden += _block(size, dropout, bottleneck)
        else:
            hidden += HIDDEN[method](size, dropout)
    return Network([*hidden, Dense(output_size)], input_size, seed)
