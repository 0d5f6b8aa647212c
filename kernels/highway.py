"""The mathematics of highway layers, one element: y = t h + (1 - t) x, h = relu(z),
t = sigmoid(z').   Srivastava et al. 2015
"""

from .activations import relu_slope
from .emit import fma


def highway(h, t, x):
    """x + t (h - x)"""
    return fma(t, h - x, x)


def highway_backward(dy, h, t, x):
    """(dz, dz', dx along the carry) from the outputs h and t."""
    return dy * t * relu_slope(h), dy * (h - x) * t * (1 - t), dy * (1 - t)
