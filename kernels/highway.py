"""The gate of a highway layer for one element: y = t h + (1 - t) x, h = relu(z), t = sigmoid(z').

Srivastava et al. 2015. x: carried input; z, z': the two halves of the dense layer's outputs.
"""

from .activations import relu_slope
from .emit import fma


def highway(h, t, x):
    """x + t (h - x)"""
    return fma(t, h - x, x)


def highway_backward(dy, h, t, x):
    """Return (dz, dz', gradient of the carried x) from dy, h, t and x."""
    return dy * t * relu_slope(h), dy * (h - x) * t * (1 - t), dy * (1 - t)
