"""What a network is made of, as the user writes it: frozen descriptions, no arrays."""

import math
from dataclasses import dataclass, fields

from fastsnn.theory.fixed_points import solve

INITS = ("lecun_normal", "he_normal", "glorot_uniform")


def _require_units(where, units):
    if not isinstance(units, int) or isinstance(units, bool):
        raise TypeError(f"{where}: units must be an int, got {units!r}")
    if units < 1:
        raise ValueError(f"{where}: units must be at least 1, got {units}")


def _require_init(where, init):
    if init not in INITS:
        raise ValueError(f"{where}: init must be one of {', '.join(INITS)}; got {init!r}")


@dataclass(frozen=True)
class Dense:
    """y[n] = b[n] + sum_k w[n, k] x[k]      weight (units, fan_in), bias (units,)

    With `weight_norm`, w[n, k] = g[n] v[n, k] / |v[n]| (Salimans & Kingma 2016), and in the place
    of the weight stand weight_g (units, 1) and weight_v (units, fan_in).

    Parameters
    ----------
    units : int >= 1
        Number of outputs.
    init : {"lecun_normal", "he_normal", "glorot_uniform"}
        Starting weights: N(0, 1 / fan_in), which SELU needs (Klambauer et al. 2017, section
        "Initialization"); N(0, 2 / fan_in), for ReLU (He et al. 2015, "MSRA"); uniform within
        +-sqrt(6 / (fan_in + units)) (Glorot & Bengio 2010). Biases start at 0.
    weight_norm : bool
        Length and direction of each unit's weights as parameters of their own.
    """

    units: int
    init: str = "lecun_normal"
    weight_norm: bool = False

    def __post_init__(self):
        _require_units("Dense", self.units)
        _require_init("Dense", self.init)
        if not isinstance(self.weight_norm, bool):
            raise TypeError(f"Dense: weight_norm must be True or False, got {self.weight_norm!r}")


@dataclass(frozen=True)
class SELU:
    """lambda z for z > 0, else lambda alpha (exp(z) - 1)   (Klambauer et al. 2017, eq. 2)

    Parameters
    ----------
    fixed_point : (mean, variance)
        What activations are drawn to over many layers; alpha and lambda are solved for, see
        `fastsnn.theory.solve`, which raises ValueError for a pair that cannot be reached. It holds
        for units whose weights sum to 0 and their squares to 1. Drawn weights sum to about +-1, so
        a mean that is not small beside the deviation drives the variance up over many layers.
    """

    fixed_point: tuple[float, float] = (0.0, 1.0)

    def __post_init__(self):
        try:
            mean, variance = (float(value) for value in self.fixed_point)
        except (TypeError, ValueError):
            raise TypeError(
                f"SELU: fixed_point must be a pair (mean, variance), got {self.fixed_point!r}"
            ) from None
        try:
            solve(mean, variance)
        except ValueError as error:
            raise ValueError(f"SELU: fixed_point: {error}") from error
        object.__setattr__(self, "fixed_point", (mean, variance))


@dataclass(frozen=True)
class ReLU:
    """max(z, 0)"""


@dataclass(frozen=True)
class Tanh:
    """tanh(z)"""


@dataclass(frozen=True)
class _Dropping:
    rate: float

    def __post_init__(self):
        where = type(self).__name__
        if isinstance(self.rate, bool) or not isinstance(self.rate, int | float):
            raise TypeError(f"{where}: rate must be a number in [0, 1), got {self.rate!r}")
        if not 0 <= self.rate < 1:
            raise ValueError(
                f"{where}: rate must be in [0, 1), got {self.rate}; "
                "it is the probability of dropping"
            )


class AlphaDropout(_Dropping):
    """Dropout that keeps mean 0 and variance 1, or the other fixed point of the SELU before it
    (Klambauer et al. 2017, section "New Dropout
    Technique").

    With probability `rate` an element becomes ALPHA_PRIME = -lambda alpha; every element is then
    mapped to affine_a * x + affine_b. With q = 1 - rate:

        affine_a = (q + ALPHA_PRIME**2 q (1 - q)) ** -0.5
        affine_b = -affine_a (1 - q) ALPHA_PRIME

    and the general form, of the appendix, for another fixed point. In training only. The rate is
    rounded to a multiple of 1/65536 (the generator gives 16 bits an element).

    Parameters
    ----------
    rate : float in [0, 1)
        Probability of dropping an element (not of keeping it). 0 makes the layer the identity.
    """


class Dropout(_Dropping):
    """Plain dropout: with probability `rate` an element becomes 0, the others are divided by
    1 - rate.

    For comparisons with ReLU and tanh; a SELU network wants `AlphaDropout`.

    Parameters
    ----------
    rate : float in [0, 1)
        Probability of dropping an element (not of keeping it). 0 makes the layer the identity.
    """


@dataclass(frozen=True)
class _Normalizing:
    eps: float = 1e-5

    def __post_init__(self):
        where = type(self).__name__
        for name in (entry.name for entry in fields(self)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise TypeError(f"{where}: {name} must be a number, got {value!r}")
            if not 0 < value <= 1:
                raise ValueError(f"{where}: {name} must be in (0, 1], got {value}")


@dataclass(frozen=True)
class BatchNorm(_Normalizing):
    """y = weight (x - mean) / sqrt(variance + eps) + bias, unit by unit over the rows of the batch
    (Ioffe & Szegedy 2015).

    It stands directly behind a Dense, or behind its activation. In training mean and variance are
    those of the batch, which needs at least 2 rows; in evaluation the running ones, which each step
    moves by `momentum` towards the batch's (the variance by its unbiased form, as in PyTorch).
    Tensors weight, bias, running_mean, running_var, all (units,).

    Parameters
    ----------
    eps : float in (0, 1]
    momentum : float in (0, 1]
    """

    momentum: float = 0.1


@dataclass(frozen=True)
class LayerNorm(_Normalizing):
    """y = weight (x - mean) / sqrt(variance + eps) + bias, row by row over the units (Ba et al.
    2016).

    It stands directly behind a Dense, or behind its activation. Tensors weight, bias (units,).

    Parameters
    ----------
    eps : float in (0, 1]
    """


@dataclass(frozen=True)
class Highway:
    """y = t relu(z) + (1 - t) x,   z = w x + b,   t = sigmoid(w_t x + b_t)   (Srivastava et al.
    2015)

    As many outputs as inputs, so a layer must stand before it. Tensors weight (2 units, units) and
    bias (2 units,): w over w_t, b over b_t.

    Parameters
    ----------
    init : as for `Dense`, of both halves of the weight.
    gate_bias : float
        Where b_t starts; below 0 the layer begins by carrying x.
    """

    init: str = "he_normal"
    gate_bias: float = -2.0

    def __post_init__(self):
        _require_init("Highway", self.init)
        if isinstance(self.gate_bias, bool) or not isinstance(self.gate_bias, int | float):
            raise TypeError(f"Highway: gate_bias must be a number, got {self.gate_bias!r}")
        if not math.isfinite(self.gate_bias):
            raise ValueError(f"Highway: gate_bias must be finite, got {self.gate_bias}")


@dataclass(frozen=True)
class Residual:
    """y = x + F(x), F a list of layers with as many outputs as inputs (He et al. 2016).

    F begins with a Dense and ends with a Dense or a normalization; what follows in the outer list
    (an activation, a dropout) acts on the sum. A layer must stand before it. Tensors are named by
    both indices: "3.0.weight" is the weight of layer 0 of F, layer 3 of the network.

    Parameters
    ----------
    layers : sequence of layers
    """

    layers: tuple

    def __post_init__(self):
        if not isinstance(self.layers, list | tuple):
            raise TypeError(f"Residual: a list of layers is required, got {self.layers!r}")
        object.__setattr__(self, "layers", tuple(self.layers))


LAYERS = {
    cls.__name__: cls
    for cls in (
        Dense, SELU, ReLU, Tanh, AlphaDropout, Dropout, BatchNorm, LayerNorm, Highway, Residual,
    )
}  # fmt: skip
Layer = (
    Dense | SELU | ReLU | Tanh | AlphaDropout | Dropout | BatchNorm | LayerNorm | Highway | Residual
)


def describe(layer: Layer) -> dict:
    """A layer as numbers, words and lists."""
    values = {entry.name: getattr(layer, entry.name) for entry in fields(layer)}
    if isinstance(layer, Residual):
        values["layers"] = [describe(inner) for inner in layer.layers]
    return {"type": type(layer).__name__} | values


def from_description(values: dict) -> Layer:
    """The layer of `describe`. Raises KeyError, TypeError or ValueError for what is none."""
    values = dict(values)
    cls = LAYERS[values.pop("type")]
    if cls is Residual:
        values["layers"] = [from_description(inner) for inner in values["layers"]]
    return cls(**values)
