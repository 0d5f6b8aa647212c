"""What is measured on a GPU: networks, arithmetic, peers; and how a step's work is counted."""

from __future__ import annotations

from ..case import Case

CASES = (
    "32x64x128x0.05", "32x64x1024x0.05", "32x256x128x0.05", "32x256x4096x0.05",
    "16x1024x4096x0.05", "8x4096x8192x0.05",
)  # fmt: skip
MODES = ("float32", "tf32", "bf16")
# First the whole step as one CUDA graph: the fastest that PyTorch offers without a compiler.
PEERS = ("torch-whole-graph", "torch-whole-graph-compile", "torch-graphs", "torch-compile", "torch")
COMPILED = {"torch-whole-graph-compile", "torch-graphs", "torch-compile"}

# Steps of one call: the loss of each comes back to the host once for all of them, in every system.
STEPS, ROWS = 64, 65536


def steps_of(case: Case) -> int:
    return max(1, min(STEPS, ROWS // case.batch))


# Kinds of kernels by how their names begin, behind "fastsnn_".
KINDS = {
    "dense_forward": "forward", "dense_backward": "backward", "narrow": "narrow",
    "weights": "weights and optimizer", "softmax": "loss", "mean_loss": "loss",
}  # fmt: skip


def kind_of(name: str) -> str:
    name = name.removeprefix("fastsnn_")
    return next((kind for begin, kind in KINDS.items() if name.startswith(begin)), "other")


def work_of(kind: str, case: Case) -> tuple[int, int]:
    """(floating-point operations of its products, bytes that it must move at least) of all kernels
    of a kind in one step; 4 bytes a number.
    """
    w, first, M = sum(case.weights), case.weights[0], case.batch
    units = sum(case.sizes[1:])
    # x and w are read, y is written.
    forward = 2 * M * w, 4 * (M * sum(case.sizes[:-1]) + w + M * units)
    # dz, w and the output below are read, the dz below is written.
    below = sum(case.sizes[1:-1])
    backward = 2 * M * (w - first), 4 * (M * units + w - first + 2 * M * below)
    return {
        "forward": forward,
        "backward": backward,
        # A block of rows stays on the chip: x and w are read, and outputs and dz written, once.
        "narrow": (forward[0] + backward[0], 4 * (M * case.inputs + 2 * w + 2 * M * units)),
        # dz and x are read; weights, m and v are read and written.
        "weights and optimizer": (2 * M * w, 4 * (M * (sum(case.sizes[:-1]) + units) + 6 * w)),
        "loss": (0, 8 * M * case.sizes[-1]),
    }.get(kind, (0, 0))
