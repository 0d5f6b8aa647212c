"""What a network is made of, as the user writes it: frozen descriptions, no arrays."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Dense:
    """y[n] = b[n] + sum_k w[n, k] x[k]      weight (units, fan_in), bias (units,)

    Weights start LeCun-normal: mean 0, variance 1 / fan_in; biases 0 (Klambauer et al. 2017,
    section "Initialization").

    Parameters
    ----------
    units : int >= 1
        Number of outputs.
    """

    units: int

    def __post_init__(self):
        if not isinstance(self.units, int) or isinstance(self.units, bool):
            raise TypeError(f"Dense: units must be an int, got {self.units!r}")
        if self.units < 1:
            raise ValueError(f"Dense: units must be at least 1, got {self.units}")


@dataclass(frozen=True)
class SELU:
    """lambda z for z > 0, else lambda alpha (exp(z) - 1)   (Klambauer et al. 2017, eq. 2)"""


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
    """Dropout that keeps mean 0 and variance 1 (Klambauer et al. 2017, section "New Dropout
    Technique").

    With probability `rate` an element becomes ALPHA_PRIME = -lambda alpha; every element is then
    mapped to affine_a * x + affine_b. With q = 1 - rate:

        affine_a = (q + ALPHA_PRIME**2 q (1 - q)) ** -0.5
        affine_b = -affine_a (1 - q) ALPHA_PRIME

    In training only. The rate is rounded to a multiple of 1/65536 (the generator gives 16 bits an
    element).

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


LAYERS = {cls.__name__: cls for cls in (Dense, SELU, ReLU, Tanh, AlphaDropout, Dropout)}
Layer = Dense | SELU | ReLU | Tanh | AlphaDropout | Dropout
