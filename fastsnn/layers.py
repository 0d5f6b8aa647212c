"""Layers: frozen descriptions without arrays, from which `Network` is built.

In the formulas, x is the input of a layer, z the output of a Dense, n a unit, K the fan-in and N
the number of units. Tensors are named "INDEX.weight", "INDEX.bias", ..., with the layer's index in
the network's list, as in ``torch.nn.Sequential``.

To add one: its class, and its name in `__all__`. An activation also names its row in
`fastsnn.kernels.activations`.
"""

from collections.abc import Sequence
from dataclasses import MISSING, dataclass, fields
from typing import Any, ClassVar

from fastsnn.checks.scalars import FLOAT32_MAX, integer, number, plain, shown
from fastsnn.deprecated import Renamed
from fastsnn.theory.fixed_points import selu_constants

__all__ = [  # in the order of error messages
    "Dense", "SELU", "ReLU", "Tanh", "GELU", "Mish", "AlphaDropout", "Dropout", "BatchNorm",
    "LayerNorm", "Highway", "Residual",
]  # fmt: skip


@dataclass(frozen=True)
class Layer:
    """Base class of layers. Options of a wrong type raise TypeError, out of range ValueError."""


class Activation(Layer):
    """Base class of activations, y[n] = f(z[n]). It follows a Dense or its normalization."""

    def _kernel(self) -> str:
        """Return the name of f in `fastsnn.kernels.activations`."""
        raise NotImplementedError

    kernel = Renamed("_kernel")


INITS = ("lecun_normal", "he_normal", "glorot_uniform")
MOST_LAYERS = 100_000  # the list of layers is built before any memory check
MOST_UNITS = 2**53  # float64 holds such counts exactly, and int64 their bytes


def _require_init(where: str, init: object) -> None:
    if not isinstance(init, str) or init not in INITS:
        raise ValueError(f"{where}: init must be one of {', '.join(INITS)}; got {shown(init)}")


@dataclass(frozen=True)
class Dense(Layer):
    """Fully connected layer, ``torch.nn.Linear``::

        y[n] = b[n] + sum_k w[n, k] x[k]

    Tensors: "weight" (units, fan_in) and "bias" (units,). With `weight_norm`
    (``torch.nn.utils.parametrizations.weight_norm``; Salimans & Kingma 2016)::

        w[n, k] = g[n] v[n, k] / norm(v[n])

    and the tensors are "weight_g" (units, 1), "weight_v" (units, fan_in) and "bias" (units,).

    Parameters
    ----------
    units : int >= 1
        Number of outputs.
    init : {"lecun_normal", "he_normal", "glorot_uniform"}
        Distribution of the initial weights. "lecun_normal": N(0, 1 / fan_in), variance 1 / fan_in,
        which SELU needs (Klambauer et al. 2017, paragraph "Initialization"). "he_normal":
        N(0, 2 / fan_in), for ReLU (He et al. 2015). "glorot_uniform": uniform in
        [-r, r], r = sqrt(6 / (fan_in + units)) (Glorot & Bengio 2010). Biases start at 0.
    weight_norm : bool
        Train length g and direction v of each unit's weights as separate parameters.
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
    """Scaled exponential linear unit (Klambauer et al. 2017, eq. 2), ``torch.nn.SELU``::

        y = lambda z                        if z > 0
        y = lambda alpha (exp(z) - 1)       otherwise

    For the default fixed point, alpha = 1.67326324 and lambda = 1.05070099.

    Parameters
    ----------
    fixed_point : tuple of 2 floats
        Mean and variance > 0 that activations converge to over many layers. alpha and
        lambda are computed by `fastsnn.theory.selu_constants`. It is exact for units whose
        weights have sum 0 and sum of squares 1. Random weights have a sum of about +-1, so the
        variance grows from layer to layer unless mean^2 is much smaller than variance.

    Raises
    ------
    TypeError, ValueError
        If `fixed_point` is not a pair of numbers, or no SELU in float32 has this fixed point.
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

    def _kernel(self) -> str:
        return "selu"


@dataclass(frozen=True)
class ReLU(Activation):
    """Rectified linear unit, ``torch.nn.ReLU``: y = max(z, 0). Its Dense needs init "he_normal"."""

    def _kernel(self) -> str:
        return "relu"


@dataclass(frozen=True)
class Tanh(Activation):
    """Hyperbolic tangent, ``torch.nn.Tanh``: y = tanh(z). It has no options."""

    def _kernel(self) -> str:
        return "tanh"


@dataclass(frozen=True)
class GELU(Activation):
    """Gaussian error linear unit (Hendrycks & Gimpel 2016), ``torch.nn.GELU``. With the cumulative
    distribution function Phi of N(0, 1)::

        y = z Phi(z)                                                         "none"
        y = z (1 + tanh(sqrt(2 / pi) (z + 0.044715 z^3))) / 2                "tanh"

    Parameters
    ----------
    approximate : {"none", "tanh"}
        "tanh" differs from "none" by less than 5e-4. Other values raise ValueError.
    """

    approximate: str = "none"

    def __post_init__(self) -> None:
        if not isinstance(self.approximate, str) or self.approximate not in ("none", "tanh"):
            given = shown(self.approximate)
            raise ValueError(f"GELU: approximate must be one of none, tanh; got {given}")

    def _kernel(self) -> str:
        return "gelu" if self.approximate == "none" else "gelu_tanh"


@dataclass(frozen=True)
class Mish(Activation):
    """Mish (Misra 2019), ``torch.nn.Mish``: y = z tanh(log(1 + exp(z))). It has no options."""

    def _kernel(self) -> str:
        return "mish"


@dataclass(frozen=True)
class Dropping(Layer):
    """Base class of dropouts. Each Dense has at most one, after activation and norm."""

    rate: float
    _dropout: ClassVar[str]  # its name in a `Node`
    dropout = Renamed("_dropout")

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
    """Dropout that preserves the mean and variance of its inputs if they are at the fixed point of
    the preceding SELU (Klambauer et al. 2017, paragraph "New Dropout Technique"; its sections are
    not numbered), ``torch.nn.AlphaDropout``.

    In training, each element becomes alpha' = -lambda alpha = -1.7581 with probability `rate`;
    every element x is then mapped to affine_a x + affine_b. With q = 1 - rate, for mean 0 and
    variance 1, the paper's::

        affine_a = (q + alpha'^2 q (1 - q))^(-1/2)
        affine_b = -affine_a (1 - q) alpha'

    For a fixed point with mean m and variance v, the mean after dropping is q m + (1 - q) alpha'
    and the variance is q ((1 - q) (alpha' - m)^2 + v), so::

        affine_a = sqrt(v / (q ((1 - q) (alpha' - m)^2 + v)))
        affine_b = m - affine_a (q m + (1 - q) alpha')

    In evaluation mode the layer is the identity. Masks are a function of the trainer's seed, the
    step, the layer, the unit and the row's index in the mini-batch (Philox4x32-10). The rate is
    rounded to a multiple of 1/65536, because each element uses 16 random bits.

    Parameters
    ----------
    rate : float in [0, 1)
        Probability of dropping an element, not of keeping it (PyTorch's `p`). 0: the identity.
    """

    _dropout = "alpha"


class Dropout(Dropping):
    """Dropout (Srivastava et al. 2014), ``torch.nn.Dropout``. After SELU use `AlphaDropout`.

    In training, each element becomes 0 with probability `rate`; the others are divided by
    1 - rate. In evaluation mode the layer is the identity. Masks are those of `AlphaDropout`.

    Parameters
    ----------
    rate : float in [0, 1)
        Probability of dropping an element, not of keeping it (PyTorch's `p`). 0: the identity.
    """

    _dropout = "plain"


@dataclass(frozen=True)
class Normalizing(Layer):
    """Base class of normalizations. It follows a Dense or its activation."""

    eps: float = 1e-5
    _op: ClassVar[str]  # its name in a `Node`
    op = Renamed("_op")

    def __post_init__(self) -> None:
        where = type(self).__name__
        for name in (entry.name for entry in fields(self)):
            value = number(getattr(self, name), f"{where}: {name}", 0, 1, "(]")
            object.__setattr__(self, name, value)


@dataclass(frozen=True)
class BatchNorm(Normalizing):
    """Batch normalization (Ioffe & Szegedy 2015), ``torch.nn.BatchNorm1d``. Unit by unit, over the
    rows of the mini-batch::

        y = weight (x - mean) / sqrt(variance + eps) + bias

    In training, mean and (biased) variance are those of the mini-batch, which needs at least 2
    rows. Each step updates the running ones, which are used in evaluation mode::

        running_mean = (1 - momentum) running_mean + momentum mean
        running_var = (1 - momentum) running_var + momentum (unbiased variance)

    Tensors: "weight", "bias", "running_mean" and "running_var", all (units,), initially 1, 0, 0, 1.

    Parameters
    ----------
    eps : float in (0, 1]
        Added to the variance.
    momentum : float in (0, 1]
        Weight of the mini-batch in the running statistics.
    """

    momentum: float = 0.1
    _op = "batch_norm"


@dataclass(frozen=True)
class LayerNorm(Normalizing):
    """Layer normalization (Ba et al. 2016), ``torch.nn.LayerNorm``. Row by row, with mean and
    (biased) variance over the units::

        y = weight (x - mean) / sqrt(variance + eps) + bias

    Tensors: "weight" and "bias", both (units,), initially 1 and 0.

    Parameters
    ----------
    eps : float in (0, 1]
        Added to the variance.
    """

    _op = "layer_norm"


@dataclass(frozen=True)
class Highway(Layer):
    """Highway layer (Srivastava et al. 2015), with as many outputs as inputs::

        y = t relu(w x + b) + (1 - t) x,      t = sigmoid(u x + c)

    It needs a layer before it. Tensors: "weight" (2 units, units), w stacked on u, and "bias"
    (2 units,), b before c.

    Parameters
    ----------
    init : {"lecun_normal", "he_normal", "glorot_uniform"}
        Distribution of the initial w and u, see `Dense`.
    gate_bias : float
        Initial value of c, finite in float32. Below 0 the layer starts close to the identity.
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
    """Residual block (He et al. 2016): y = x + F(x), where F is a list of layers with as many
    outputs as inputs.

    F begins with a Dense and ends with a Dense or a normalization. An activation or a dropout that
    follows the block acts on the sum. The block needs a layer before it. Tensors have both indices
    in their names: "3.0.weight" is the weight of layer 0 of F, where F is layer 3 of the network.

    Parameters
    ----------
    layers : list or tuple of layers
        The layers of F, without another Residual. `Network` raises ValueError for another order.
    """

    layers: Sequence["Layer"]

    def __post_init__(self) -> None:
        if not isinstance(self.layers, list | tuple):
            raise TypeError(f"Residual: a list of layers is required, got {shown(self.layers)}")
        object.__setattr__(self, "layers", tuple(self.layers))


LAYERS: dict[str, type[Layer]] = {name: globals()[name] for name in __all__}


def describe(layer: Layer) -> dict[str, Any]:
    """Return a layer as a dict of numbers, words and lists, ready for JSON."""
    values = {entry.name: getattr(layer, entry.name) for entry in fields(layer)}
    if isinstance(layer, Residual):
        values["layers"] = [describe(inner) for inner in layer.layers]
    return {"type": type(layer).__name__} | values


def from_description(values: dict[str, Any], inside: bool = False) -> Layer:
    """Return the layer of a description, the inverse of `describe`. inside: True if the layer is in
    the list of a Residual, where no other Residual is allowed.

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
