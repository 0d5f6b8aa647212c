"""Exponentials and sigmoid of one element, written once for vectors, single elements and any
backend; SELU's constants.

Arguments and results are float32 `Value`s, see `emit.py`. Reference: Klambauer et al. 2017,
"Self-Normalizing Neural Networks".
"""

from .emit import as_bits, as_float, fma, where

# Bounds of the length of a direction in weight normalization: its square is a normal float32.
SHORTEST, LONGEST = 1e-15, 1e15

# For the fixed point (mean 0, variance 1); the paper's appendix gives these digits.
ALPHA = 1.6732632423543772848170429916717
LAMBDA = 1.0507009873554804934193349852946
LAMBDA_ALPHA = LAMBDA * ALPHA
ALPHA_PRIME = -LAMBDA_ALPHA  # limit of SELU for z -> -infinity; value of a dropped unit

LOG2_E = 1.4426950408889634
LN2_HIGH = 0.693359375  # few significant bits: n * LN2_HIGH is exact for every exponent n
LN2_LOW = -2.12194440e-4
ROUND = 12582912.0  # 1.5 * 2**23: adding it leaves the nearest integer in the low mantissa bits
ROUND_BITS = 0x4B400000

# exp(r) = 1 + r + r**2 * polynomial(r), |r| <= ln(2) / 2, highest power first; Cephes, expf.
EXP_POLYNOMIAL = (
    1.9875691500e-4,
    1.3981999507e-3,
    8.3334519073e-3,
    4.1665795894e-2,
    1.6666665459e-1,
    5.0000001201e-1,
)
EXP_UNDERFLOW = -104.0  # below, exp rounds to 0 in float32
EXPM1_SATURATION = -32.0  # below, expm1 rounds to -1


def _reduce(x):
    """Return (n, p) with exp(x) = 2**n (1 + p): n is the integer nearest to x / ln 2, p = expm1 of
    the remainder.

    n is taken from the bits of x log2(e) + ROUND, which needs no conversion instruction and is
    defined for NaN.
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
    """Return 2**n for an integer n in [-126, 127]."""
    return as_float((n + 127) << 23)


def exp_nonpositive(x):
    """exp(x) for x <= 0, within 2 ulp, also for denormal results; -inf gives 0, NaN stays NaN."""
    n, p = _reduce(where(x < EXP_UNDERFLOW, EXP_UNDERFLOW, x))
    half = n.shift_right(1, arithmetic=True)  # 2**n in two factors, since n can be -150
    s = _power_of_two(half)
    return fma(p, s, s) * _power_of_two(n - half)


def expm1_nonpositive(x):
    """exp(x) - 1 for x <= 0, within 2 ulp and without cancellation near 0; NaN stays NaN."""
    n, p = _reduce(where(x < EXPM1_SATURATION, EXPM1_SATURATION, x))
    s = _power_of_two(n)
    return fma(p, s, s - 1)


def sigmoid(z):
    """1 / (1 + exp(-z)), from exp(-|z|), so that nothing overflows; NaN stays NaN."""
    e = exp_nonpositive(where(z > 0, 0 - z, z))
    return where(z > 0, 1, e) / (e + 1)
