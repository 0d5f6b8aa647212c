"""Networks, arithmetic and peers measured on a GPU, and the operation counts of a step."""

from __future__ import annotations

from ..case import Case

CASES = (
    "32x64x128x0.05", "32x64x1024x0.05", "32x256x128x0.05", "32x256x4096x0.05",
    "16x1024x4096x0.05", "8x4096x8192x0.05",
)  # fmt: skip
MODES = ("float32", "tf32", "bf16")
# Forms of PyTorch, with descriptions for `--help`. First the whole step as one CUDA graph: the
# fastest one without a compiler.
PEERS = {
    "torch-whole-graph": "PyTorch with the whole step captured as one CUDA graph",
    "torch-whole-graph-compile": "the same after torch.compile",
    "torch-graphs": "torch.compile with CUDA graphs (mode reduce-overhead)",
    "torch-compile": "torch.compile (mode default)",
    "torch": "PyTorch (eager)",
}
COMPILED = {"torch-whole-graph-compile", "torch-graphs", "torch-compile"}

# Steps of one call: in every system, the losses of all of them are copied to the host once.
STEPS, ROWS = 64, 65536


def steps_of(case: Case) -> int:
    return max(1, min(STEPS, ROWS // case.batch))


# Kinds of kernels by the prefix of their names, after "fastsnn_".
KINDS = {
    "dense_forward": "forward", "dense_backward": "backward", "narrow": "narrow",
    "weights": "weights and optimizer", "softmax": "loss", "mean_loss": "loss",
}  # fmt: skip


def kind_of(name: str) -> str:
    name = name.removeprefix("fastsnn_")
    return next((kind for begin, kind in KINDS.items() if name.startswith(begin)), "other")


def work_of(kind: str, case: Case) -> tuple[int, int]:
    """Return (floating-point operations of the products, minimum bytes moved) of all kernels of a
    kind in one step. A number has 4 bytes.
    """
    w, first, M = sum(case.weights), case.weights[0], case.batch
    units = sum(case.sizes[1:])
    # Reads x and w, writes y.
    forward = 2 * M * w, 4 * (M * sum(case.sizes[:-1]) + w + M * units)
    # Reads dz, w and the output of the layer below, writes its dz.
    below = sum(case.sizes[1:-1])
    backward = 2 * M * (w - first), 4 * (M * units + w - first + 2 * M * below)
    return {
        "forward": forward,
        "backward": backward,
        # A block of rows stays on the chip: x and w are read once, outputs and dz are written once.
        "narrow": (forward[0] + backward[0], 4 * (M * case.inputs + 2 * w + 2 * M * units)),
        # Reads dz and x; reads and writes weights, m and v.
        "weights and optimizer": (2 * M * w, 4 * (M * (sum(case.sizes[:-1]) + units) + 6 * w)),
        "loss": (0, 8 * M * case.sizes[-1]),
    }.get(kind, (0, 0))
