"""The layers of a network, as the user writes them: frozen descriptions, no arrays.

To add one: its class, and its name in `__all__`. An activation also names its row in
`fastsnn.kernels.activations`.
"""

from collections.abc import Sequence
from dataclasses import MISSING, dataclass, fields
from typing import Any, ClassVar

from fastsnn.checks.scalars import FLOAT32_MAX, integer, number, plain, shown
from fastsnn.theory.fixed_points import selu_constants

__all__ = [  # in the order of error messages
    "Dense", "SELU", "ReLU", "Tanh", "GELU", "Mish", "AlphaDropout", "Dropout", "BatchNorm",
    "LayerNorm", "Highway", "Residual",
]  # fmt: skip


@dataclass(frozen=True)
class Layer:
    """The base class of all layers."""


class Activation(Layer):
    """y[n] = f(z[n]), unit by unit. It follows a Dense, or its normalization."""

    def kernel(self) -> str:
        """The name of f in `fastsnn.kernels.activations`."""
        raise NotImplementedError


INITS = ("lecun_normal", "he_normal", "glorot_uniform")


MOST_LAYERS = 100_000  # the list of layers is built before any memory check
MOST_UNITS = 2**53  # float64 holds such counts exactly, and int64 their bytes


def _require_init(where: str, init: object) -> None:
    if not isinstance(init, str) or init not in INITS:
        raise ValueError(f"{where}: init must be one of {', '.join(INITS)}; got {shown(init)}")


@dataclass(frozen=True)
class Dense(Layer):
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

    def __post_init__(self) -> None:
        units = integer(self.units, "Dense: units", 1, MOST_UNITS)
        object.__setattr__(self, "units", units)
        _require_init("Dense", self.init)
        object.__setattr__(self, "weight_norm", plain(self.weight_norm))
        if not isinstance(self.weight_norm, bool):
            raise TypeError(
                f"Dense: weight_norm must be True or False, got {shown(self.weight_norm)}"
            )


@dataclass(frozen=True)
class SELU(Activation):
    """lambda z for z > 0, else lambda alpha (exp(z) - 1)   (Klambauer et al. 2017, eq. 2)

    Parameters
    ----------
    fixed_point : (mean, variance)
        Mean and variance that activations converge to over many layers. alpha and lambda are solved
        for, see `fastsnn.theory.selu_constants`, which raises ValueError for a pair that cannot be
        reached.
        The fixed point holds for units whose weights sum to 0 and their squares to 1. Drawn weights
        sum to about +-1, so a mean that is not small beside the deviation drives the variance up
        over many layers.
    """

    fixed_point: tuple[float, float] = (0.0, 1.0)

    def __post_init__(self) -> None:
        try:
            pair = tuple(plain(value) for value in self.fixed_point)
        except TypeError:
            pair = ()
        if len(pair) != 2 or not all(isinstance(v, int | float) for v in pair):
            given = shown(self.fixed_point)
            raise TypeError(f"SELU: fixed_point must be a pair (mean, variance), got {given}")
        mean = number(pair[0], "SELU: fixed_point: mean")
        variance = number(pair[1], "SELU: fixed_point: variance")
        try:
            alpha, lambda_ = selu_constants(mean, variance)
        except ValueError as error:
            raise ValueError(f"SELU: fixed_point: {error}") from error
        if not max(lambda_, alpha * lambda_) <= FLOAT32_MAX:
            raise ValueError(
                f"SELU: fixed_point: variance {variance:.4g} needs lambda {lambda_:.4g} and alpha "
                f"{alpha:.4g}, which overflow float32; take a smaller one"
            )
        object.__setattr__(self, "fixed_point", (mean, variance))

    def kernel(self) -> str:
        return "selu"


@dataclass(frozen=True)
class ReLU(Activation):
    """max(z, 0)"""

    def kernel(self) -> str:
        return "relu"


@dataclass(frozen=True)
class Tanh(Activation):
    """tanh(z)"""

    def kernel(self) -> str:
        return "tanh"


@dataclass(frozen=True)
class GELU(Activation):
    """z Phi(z), Phi the distribution function of N(0, 1)   (Hendrycks & Gimpel 2016)

    Parameters
    ----------
    approximate : {"none", "tanh"}
        "tanh": z (1 + tanh(sqrt(2 / pi) (z + 0.044715 z^3))) / 2 instead, within 5e-4 of it.
    """

    approximate: str = "none"

    def __post_init__(self) -> None:
        if not isinstance(self.approximate, str) or self.approximate not in ("none", "tanh"):
            given = shown(self.approximate)
            raise ValueError(f"GELU: approximate must be one of none, tanh; got {given}")

    def kernel(self) -> str:
        return "gelu" if self.approximate == "none" else "gelu_tanh"


@dataclass(frozen=True)
class Mish(Activation):
    """z tanh(log(1 + exp(z)))   (Misra 2019)"""

    def kernel(self) -> str:
        return "mish"


@dataclass(frozen=True)
class Dropping(Layer):
    """The base class of both dropouts."""

    rate: float
    dropout: ClassVar[str]  # its name in a `Node`

    def __post_init__(self) -> None:
        where, rate = type(self).__name__, plain(self.rate)
        if isinstance(rate, bool) or not isinstance(rate, int | float):
            raise TypeError(f"{where}: rate must be a number in [0, 1), got {shown(rate)}")
        if not 0 <= rate < 1:
            raise ValueError(
                f"{where}: rate must be in [0, 1), got {shown(rate)}; "
                "it is the probability of dropping"
            )
        object.__setattr__(self, "rate", float(rate))


class AlphaDropout(Dropping):
    """Dropout that keeps mean 0 and variance 1, or the other fixed point of the SELU before it
    (Klambauer et al. 2017, section "New Dropout Technique").

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

    dropout = "alpha"


class Dropout(Dropping):
    """Plain dropout: with probability `rate` an element becomes 0, the others are divided by
    1 - rate.

    For comparisons with ReLU and tanh; a SELU network wants `AlphaDropout`.

    Parameters
    ----------
    rate : float in [0, 1)
        Probability of dropping an element (not of keeping it). 0 makes the layer the identity.
    """

    dropout = "plain"


@dataclass(frozen=True)
class Normalizing(Layer):
    """The base class of normalizations."""

    eps: float = 1e-5
    op: ClassVar[str]  # its name in a `Node`

    def __post_init__(self) -> None:
        where = type(self).__name__
        for name in (entry.name for entry in fields(self)):
            value = number(getattr(self, name), f"{where}: {name}", 0, 1, "(]")
            object.__setattr__(self, name, value)


@dataclass(frozen=True)
class BatchNorm(Normalizing):
    """y = weight (x - mean) / sqrt(variance + eps) + bias, unit by unit over the rows of the batch
    (Ioffe & Szegedy 2015).

    It stands directly after a Dense, or after its activation. In training mean and variance are
    those of the batch, which needs at least 2 rows; in evaluation the running ones, which each step
    moves by `momentum` towards the batch's (the variance by its unbiased form, as in PyTorch).
    Tensors weight, bias, running_mean, running_var, all (units,).

    Parameters
    ----------
    eps : float in (0, 1]
    momentum : float in (0, 1]
    """

    momentum: float = 0.1
    op = "batch_norm"


@dataclass(frozen=True)
class LayerNorm(Normalizing):
    """y = weight (x - mean) / sqrt(variance + eps) + bias, row by row over the units (Ba et al.
    2016).

    It stands directly after a Dense, or after its activation. Tensors weight, bias (units,).

    Parameters
    ----------
    eps : float in (0, 1]
    """

    op = "layer_norm"


@dataclass(frozen=True)
class Highway(Layer):
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

    def __post_init__(self) -> None:
        _require_init("Highway", self.init)
        bias = number(self.gate_bias, "Highway: gate_bias")
        if abs(bias) > FLOAT32_MAX:
            raise ValueError(f"Highway: gate_bias must be a finite float32, got {bias}")
        object.__setattr__(self, "gate_bias", bias)


@dataclass(frozen=True)
class Residual(Layer):
    """y = x + F(x), F a list of layers with as many outputs as inputs (He et al. 2016).

    F begins with a Dense and ends with a Dense or a normalization; what follows in the outer list
    (an activation, a dropout) acts on the sum. A layer must stand before it. Tensors are named by
    both indices: "3.0.weight" is the weight of layer 0 of F, layer 3 of the network.

    Parameters
    ----------
    layers : sequence of layers
    """

    layers: Sequence["Layer"]

    def __post_init__(self) -> None:
        if not isinstance(self.layers, list | tuple):
            raise TypeError(f"Residual: a list of layers is required, got {shown(self.layers)}")
        object.__setattr__(self, "layers", tuple(self.layers))


LAYERS: dict[str, type[Layer]] = {name: globals()[name] for name in __all__}


def describe(layer: Layer) -> dict[str, Any]:
    """A layer as numbers, words and lists."""
    values = {entry.name: getattr(layer, entry.name) for entry in fields(layer)}
    if isinstance(layer, Residual):
        values["layers"] = [describe(inner) for inner in layer.layers]
    return {"type": type(layer).__name__} | values


def from_description(values: dict[str, Any], inside: bool = False) -> Layer:
    """The inverse of `describe`. inside: the layer is in the list of a Residual, which may not hold
    another Residual.

    Raises TypeError or ValueError for anything else.
    """
    if not isinstance(values, dict):
        raise TypeError(f"layer: an object with a type is required, got {shown(values)}")
    kind, options = values.get("type"), {k: v for k, v in values.items() if k != "type"}
    if not isinstance(kind, str) or kind not in LAYERS:
        raise ValueError(f"layer: type must be one of {', '.join(LAYERS)}; got {shown(kind)}")
    cls = LAYERS[kind]
    for name in options.keys() - {entry.name for entry in fields(cls)}:
        raise ValueError(f"{kind}: there is no option {shown(name)}")
    for entry in fields(cls):
        if entry.name not in options and entry.default is MISSING:
            raise ValueError(f"{kind}: {entry.name} is required, got nothing")
    if cls is Residual:
        if inside or not isinstance(options["layers"], list):
            raise ValueError("Residual: layers must be a list without another Residual")
        options["layers"] = [from_description(inner, True) for inner in options["layers"]]
    layer: Layer = cls(**options)
    return layer
