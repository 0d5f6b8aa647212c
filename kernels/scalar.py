"""The mathematics of one element, written once; `emit.py` compiles it for vectors, for single
elements, for any target.

Arguments and results are float32 `Value`s. References: Klambauer et al. 2017, "Self-Normalizing
Neural Networks".
"""

from .emit import absolute, as_bits, as_float, copysign, fma, where

# Bounds of the directions of normalized weights: their squares are normal float32 numbers.
SHORTEST, LONGEST = 1e-15, 1e15

# The fixed point (mean 0, variance 1) of the paper, section "SNN", with the appendix's digits.
ALPHA = 1.6732632423543772848170429916717
LAMBDA = 1.0507009873554804934193349852946
LAMBDA_ALPHA = LAMBDA * ALPHA
ALPHA_PRIME = -LAMBDA_ALPHA  # what SELU tends to far below zero, and what alpha-dropout puts in

LOG2_E = 1.4426950408889634
LN2_HIGH = 0.693359375  # few bits: n * LN2_HIGH is exact for every exponent n
LN2_LOW = -2.12194440e-4
ROUND = 12582912.0  # 1.5 * 2**23: adding it leaves the nearest integer in the low mantissa bits
ROUND_BITS = 0x4B400000

# exp(r) = 1 + r + r**2 * (sum of these), |r| <= ln(2) / 2; Cephes, expf.
EXP_POLYNOMIAL = (
    1.9875691500e-4,
    1.3981999507e-3,
    8.3334519073e-3,
    4.1665795894e-2,
    1.6666665459e-1,
    5.0000001201e-1,
)
EXP_UNDERFLOW = -104.0  # exp of anything below rounds to 0 in float32
EXPM1_SATURATION = -32.0  # expm1 of anything below rounds to -1


def _reduce(x):
    """(n, p) with exp(x) = 2**n (1 + p): the integer nearest x / ln 2, and exp of the rest less 1.

    The integer comes from the bits of x log2(e) + ROUND: no conversion instruction, and defined for
    a NaN.
    """
    shifted = fma(x, LOG2_E, ROUND)
    n = as_bits(shifted) - ROUND_BITS
    whole = shifted - ROUND
    r = fma(whole, -LN2_HIGH, x)
    r = fma(whole, -LN2_LOW, r)
    q = fma(r, EXP_POLYNOMIAL[0], EXP_POLYNOMIAL[1])
    for c in EXP_POLYNOMIAL[2:]:
        q = fma(q, r, c)
    return n, fma(q * r, r, r)


def _power_of_two(n):
    """2**n for an integer n in [-126, 127]."""
    return as_float((n + 127) << 23)


def exp_nonpositive(x):
    """exp(x) for x <= 0, within 2 ulp; denormal results are right, -inf gives 0, NaN stays NaN."""
    n, p = _reduce(where(x < EXP_UNDERFLOW, EXP_UNDERFLOW, x))
    half = n.shift_right(1, arithmetic=True)  # 2**n in two factors: n goes down to -150
    s = _power_of_two(half)
    return fma(p, s, s) * _power_of_two(n - half)


def expm1_nonpositive(x):
    """exp(x) - 1 for x <= 0, within 2 ulp and without cancellation near 0; NaN stays NaN."""
    n, p = _reduce(where(x < EXPM1_SATURATION, EXPM1_SATURATION, x))
    s = _power_of_two(n)
    return fma(p, s, s - 1)


def sigmoid(z):
    """1 / (1 + exp(-z)), through exp of -|z|: no overflow; NaN stays NaN."""
    e = exp_nonpositive(where(z > 0, 0 - z, z))
    return where(z > 0, 1, e) / (e + 1)


# Activations: y from the pre-activation z; and the slope dy/dz from the *output* y, so that z need
# not be kept. SELU's two constants come with every call: they depend on its fixed point.


def selu(z, lambda_, lambda_alpha):
    """lambda z for z > 0, else lambda alpha (exp(z) - 1).   Eq. (2)"""
    negative = expm1_nonpositive(where(z > 0, 0, z)) * lambda_alpha
    return where(z > 0, z * lambda_, negative)


def selu_slope(y, lambda_, lambda_alpha):
    """lambda for y > 0, else lambda alpha exp(z) = y + lambda alpha: exactly 0 at the dropped value
    -lambda alpha.

    Below z = -10 the relative error of the slope grows; the absolute error stays below 3e-7.
    """
    return where(y > 0, lambda_, y + lambda_alpha)


def relu(z, *_):
    return where(z < 0, 0, z)  # this way round a NaN stays NaN


def relu_slope(y, *_):
    return where(y > 0, y * 0 + 1, 0)


def tanh(z, *_):
    """sign(z) (1 - e) / (1 + e), e = exp(-2 |z|), through exp - 1: no cancellation near 0."""
    e = expm1_nonpositive(absolute(z) * -2)
    return copysign(e / (e + 2), z)


def tanh_slope(y, *_):
    return fma(-y, y, 1)


def identity(z, *_):
    return z


def identity_slope(y, *_):
    return y * 0 + 1


ACTIVATIONS = {
    "none": (identity, identity_slope),
    "selu": (selu, selu_slope),
    "relu": (relu, relu_slope),
    "tanh": (tanh, tanh_slope),
}


# Highway layers: y = t h + (1 - t) x with h = relu(z), t = sigmoid(z').


def highway(h, t, x):
    """x + t (h - x)"""
    return fma(t, h - x, x)


def highway_backward(dy, h, t, x):
    """(dz, dz', dx along the carry) from the outputs h and t."""
    return dy * t * relu_slope(h), dy * (h - x) * t * (1 - t), dy * (1 - t)
