"""Activations and their slopes for one element, and the table `ACTIVATIONS` from which the code of
both targets is generated.

    z    pre-activation; y: output of the activation; h: output after dropout, h = a y + b
    dh   gradient of the loss with respect to h; dz: with respect to z

Arguments and results are float32 `Value`s, see `emit.py`. To add an activation: write its function,
its slope and a row here, and a layer class in `fastsnn/layers.py` that names the row.
"""

from collections.abc import Callable
from dataclasses import dataclass

from .emit import absolute, copysign, fma, where
from .scalar import exp_nonpositive, expm1_nonpositive

# The argument of a slope.
OUTPUT, INPUT = "output", "input"

# The backward pass through an activation needs nothing of its dropout (PLAIN: no dropout), the
# affine map, or the affine map and the mask.
PLAIN, AFFINE, MASKED = range(3)


@dataclass(frozen=True)
class Activation:
    """y = function(z, *selu) and dy/dz = slope(y or z, *selu). `selu`: lambda and lambda alpha,
    which depend on the fixed point of the layer's SELU; other activations ignore them.

    A slope from the output y needs no memory. A slope from the pre-activation z needs a buffer that
    holds z until the backward pass, see SLOPE_AT in `program.py`.
    """

    function: Callable
    slope: Callable
    slope_from: str = OUTPUT
    # Kinds of dropout whose dropped value has slope 0, so that the backward pass needs no mask.
    slope_0_after: tuple[str, ...] = ()


def selu(z, lambda_, lambda_alpha):
    """lambda z for z > 0, else lambda alpha (exp(z) - 1)   Klambauer et al. 2017, eq. (2)"""
    negative = expm1_nonpositive(where(z > 0, 0, z)) * lambda_alpha
    return where(z > 0, z * lambda_, negative)


def selu_slope(y, lambda_, lambda_alpha):
    """lambda for y > 0, else lambda alpha exp(z) = y + lambda alpha: exactly 0 at the dropped value
    -lambda alpha.

    Below z = -10 the relative error of the slope grows; the absolute error stays below 3e-7.
    """
    return where(y > 0, lambda_, y + lambda_alpha)


def relu(z, *_):
    return where(z < 0, 0, z)  # z < 0 is false for NaN, so NaN stays NaN


def relu_slope(y, *_):
    return where(y > 0, y * 0 + 1, 0)


def tanh(z, *_):
    """sign(z) (1 - e) / (1 + e), e = exp(-2 |z|); 1 - e from expm1: no cancellation near 0."""
    e = expm1_nonpositive(absolute(z) * -2)
    return copysign(e / (e + 2), z)


def tanh_slope(y, *_):
    return fma(-y, y, 1)


def identity(z, *_):
    return z


def identity_slope(y, *_):
    return y * 0 + 1


FAR = 15.0  # exp(-FAR**2 / 2) is 0 in float32
INVERSE_ROOT_2_PI = 0.3989422804014327
# Phi(-x) exp(x**2 / 2) on [0, FAR] as a rational function with relative error below 5e-8; lowest
# power first. All terms are positive, so nothing cancels.
MILLS = 0.5, 0.4385795, 0.18341944, 0.04068761, 0.00412206
MILLS_DIVISOR = 1, 1.67504385, 1.20332636, 0.46995015, 0.10199496, 0.01033235


def _polynomial(x, coefficients):
    *rest, total = coefficients
    for c in reversed(rest):
        total = fma(x, total, c)
    return total


def _within(z, bound):
    """Return z clipped to [-bound, bound], because infinity times 0 would be NaN. NaN stays NaN."""
    return where(z > bound, bound, where(z < -bound, -bound, z))


def _normal_tail(x):
    """Return (Phi(-x), exp(-x**2 / 2)) for x in [0, FAR]. The rounding error of x**2 is added back,
    since the exponential would amplify it for large x.
    """
    square = x * x
    e = exp_nonpositive(square * -0.5)
    e = fma(e * fma(x, x, -square), -0.5, e)
    return e * (_polynomial(x, MILLS) / _polynomial(x, MILLS_DIVISOR)), e


def gelu(z, *_):
    """z Phi(z), Phi the distribution function of N(0, 1)   Hendrycks & Gimpel 2016

    Computed from Phi(-|z|), so that nothing cancels. -inf gives -0, the limit.
    """
    x = _within(z, FAR)
    tail, _ = _normal_tail(absolute(x))
    return where(z > 0, z * (1 - tail), x * tail)


def gelu_slope(z, *_):
    """Phi(z) + z phi(z), phi the density of N(0, 1)"""
    x = absolute(_within(z, FAR))
    tail, e = _normal_tail(x)
    below = fma(x * e, -INVERSE_ROOT_2_PI, tail)  # the slope at -x
    return where(z > 0, 1 - below, below)


GELU_SCALE = 2 * 0.7978845608028654  # 2 sqrt(2 / pi)
GELU_CUBE = 0.044715


def _gelu_gate(x):
    """Return (exp(-|u|), 1 / (1 + exp(-|u|))), u = 2 sqrt(2 / pi) (x + 0.044715 x**3)."""
    u = x * fma(x * x, GELU_SCALE * GELU_CUBE, GELU_SCALE)
    e = exp_nonpositive(-absolute(u))
    return e, 1 / (e + 1)


def gelu_tanh(z, *_):
    """z (1 + tanh(u / 2)) / 2 = z / (1 + exp(-u)), u as in `_gelu_gate`   Hendrycks & Gimpel 2016

    -inf gives -0, the limit.
    """
    x = _within(z, FAR)
    e, q = _gelu_gate(x)
    return where(z > 0, z * q, x * (e * q))


def gelu_tanh_slope(z, *_):
    """s + z s (1 - s) du/dz, s = 1 / (1 + exp(-u))"""
    x = _within(z, FAR)
    e, q = _gelu_gate(x)
    du = fma(x * x, 3 * GELU_SCALE * GELU_CUBE, GELU_SCALE)
    return fma(x * du, e * q * q, where(z > 0, q, e * q))


EXP_FAR = 120.0  # exp(-EXP_FAR) is 0 in float32


def _mish_parts(x):
    """Return (n, d, e) with tanh(log(1 + exp(x))) = n / d and e = exp(-|x|); all terms positive.
    n = exp(2 x) + 2 exp(x) and d = n + 2, both multiplied by e**2 for x > 0.
    """
    e = exp_nonpositive(-absolute(x))
    square = e * e
    n = fma(e, 2, where(x > 0, 1, square))
    return n, fma(where(x > 0, square, 1), 2, n), e


def mish(z, *_):
    """z tanh(log(1 + exp(z)))   Misra 2019

    -inf gives -0, the limit.
    """
    x = _within(z, EXP_FAR)
    n, d, _ = _mish_parts(x)
    return where(z > 0, z, x) * (n / d)


def mish_slope(z, *_):
    """w + z (1 - w**2) / (1 + exp(-z)), w = n / d. The second term is 4 z e (1 + e) / d**2 with
    e = exp(z) for z <= 0, and 4 z e**2 (1 + e) / d**2 with e = exp(-z) for z > 0.
    """
    x = _within(z, EXP_FAR)
    n, d, e = _mish_parts(x)
    inverse = 1 / d
    falling = where(x > 0, e * e, e) * (e + 1) * 4 * inverse * inverse
    return fma(x, falling, n * inverse)


ACTIVATIONS = {
    "none": Activation(identity, identity_slope),
    "selu": Activation(selu, selu_slope, slope_0_after=("alpha",)),
    # The dropped value is negative or 0, where the slope is 0.
    "relu": Activation(relu, relu_slope, slope_0_after=("alpha", "plain")),
    "tanh": Activation(tanh, tanh_slope),
    "gelu": Activation(gelu, gelu_slope, slope_from=INPUT),
    "gelu_tanh": Activation(gelu_tanh, gelu_tanh_slope, slope_from=INPUT),
    "mish": Activation(mish, mish_slope, slope_from=INPUT),
}
CODES = {name: code for code, name in enumerate(ACTIVATIONS)}  # values of the column ACTIVATION
NAMES = tuple(ACTIVATIONS)  # index: code
NONE = CODES["none"]


def code_of(name):
    """Return the code of an activation in a program. Raises ValueError for an unknown name."""
    if name not in CODES:
        raise ValueError(f"activation: must be one of {', '.join(CODES)}; got {name!r}")
    return CODES[name]


def keeps_input(name):
    """Return True if the backward pass of this activation reads its pre-activation."""
    return ACTIVATIONS[name].slope_from == INPUT


def needs_mask(name, dropout):
    """Return True if the backward pass must recompute the dropout mask, because the slope at a
    dropped value is not 0, or because the slope is computed from the pre-activation, which dropout
    does not change.
    """
    return keeps_input(name) or dropout not in ACTIVATIONS[name].slope_0_after


def backward_modes(name):
    """Return the backward variants that this activation can need: of PLAIN, AFFINE, MASKED."""
    needed = {needs_mask(name, dropout) for dropout in ("alpha", "plain")}
    return (PLAIN, *sorted(MASKED if mask else AFFINE for mask in needed))


def gradient(name, mode, dh, kept, selu, a, b, dropped=None):
    """Return dz from dh.

    mode: PLAIN, AFFINE or MASKED. kept: h, or z if the slope is computed from z. a, b: affine map
    of dropout, h = a y + b. dropped: mask of dropped elements, for MASKED only.
    """
    activation = ACTIVATIONS[name]
    if mode == PLAIN:
        return dh * activation.slope(kept, *selu)
    if activation.slope_from == OUTPUT:
        kept = (kept - b) * (1 / a)
    dz = dh * a * activation.slope(kept, *selu)
    return where(dropped, 0, dz) if mode == MASKED else dz
