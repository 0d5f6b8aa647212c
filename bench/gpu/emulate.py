"""Gradients of an SNN in float64 with the rounding of tensor-core operands.

The reference for tf32 and bf16.
"""

from __future__ import annotations

import numpy as np

from ...kernels.cpu.dropout import drop_mask
from ...kernels.philox import alpha_dropout_affine
from ...kernels.scalar import ALPHA, ALPHA_PRIME, LAMBDA

# Unit roundoff of the operands of products; sums are in float32 in all modes.
ROUNDOFF = {"tf32": 2.0**-11, "bf16": 2.0**-8}


def rounded(values: np.ndarray, mode: str, kind=np.float64) -> np.ndarray:
    """Round to the nearest number of `mode`. Ties: away from zero in tf32, to even in bf16."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32).astype(np.uint64)
    if mode == "tf32":
        bits = (bits + 0x1000) & 0xFFFFE000
    elif mode == "bf16":
        bits = (bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000
    return bits.astype(np.uint32).view(np.float32).astype(kind).reshape(values.shape)


def gradients(
    network, rate: float, x: np.ndarray, labels: np.ndarray, mode: str, seed: int,
    wide: bool = True, kind=np.float64,
) -> dict[str, np.ndarray]:  # fmt: skip
    """Return the gradients of `mlp(...)` with dropout at step 0 and softmax cross-entropy.

    Keys are those of `state_dict`. wide: round the operands of forward products and input
    gradients, too. kind: dtype of the arithmetic.
    """
    through = mode if wide else "float32"

    def r(values, mode=mode):
        return rounded(values, mode, kind)

    state = network.state_dict()
    names = [name.removesuffix(".weight") for name in state if name.endswith(".weight")]
    weights = {name: r(state[f"{name}.weight"], through) for name in names}
    a, b = (kind(v) for v in alpha_dropout_affine(rate))
    h, inputs, slopes = x, [], []
    for site, name in enumerate(names):
        inputs.append(h)
        z = r(h, through) @ weights[name].T + state[f"{name}.bias"].astype(kind)
        if name == names[-1]:
            break
        dropped = drop_mask(seed, 0, site, 0, len(x), z.shape[1], rate)
        below = np.exp(np.minimum(z, 0))
        y = kind(LAMBDA) * np.where(z > 0, z, kind(ALPHA) * (below - 1))
        h = a * np.where(dropped, kind(ALPHA_PRIME), y) + b
        slope = a * kind(LAMBDA) * np.where(z > 0, kind(1), kind(ALPHA) * below)
        slopes.append(np.where(dropped, kind(0), slope))
    p = np.exp(z - z.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    p[np.arange(len(x)), labels] -= 1
    dz, found = p / kind(len(x)), {}
    for name in names[::-1]:
        found[f"{name}.weight"] = r(dz).T @ r(inputs.pop())
        found[f"{name}.bias"] = r(dz).sum(axis=0)
        if inputs:
            dz = (r(dz, through) @ weights[name]) * slopes.pop()
    return found
