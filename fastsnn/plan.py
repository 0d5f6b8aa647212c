"""Where everything lives: one flat parameter buffer, one flat activation buffer, and the program
over them.
"""

from dataclasses import dataclass

import numpy as np

from fastsnn.graph import Node
from fastsnn.kernels import philox, program
from fastsnn.kernels.cpu import activation, caches, dropout, shape
from fastsnn.kernels.cpu.dense import STRIP_GAP
from fastsnn.kernels.cpu.program import WORK_HEAD
from fastsnn.kernels.scalar import ALPHA_PRIME

THREAD_FLOPS = 8e10  # a second, of one thread in the products of region 1
MEETING_S = 2e-6  # for all threads to end one region and begin the next
LINE = 16  # floats of a cache line: every tensor starts on one


def round_up(n, multiple):
    return -(-n // multiple) * multiple


def aligned_zeros(*dimensions, dtype=np.float32):
    """Zeros that start on a cache line: a vector of 64 bytes never crosses two."""
    nbytes = int(np.prod(dimensions)) * np.dtype(dtype).itemsize
    raw = np.zeros(nbytes + 64, np.uint8)
    start = -raw.ctypes.data % 64
    return raw[start : start + nbytes].view(dtype).reshape(dimensions)


@dataclass(frozen=True)
class ParameterLayout:
    """Tensors by name in the flat parameter buffer: first float and shape, in the order of the
    network.
    """

    tensors: dict[str, tuple[int, tuple[int, ...]]]
    size: int  # floats, with what kernels may read behind the last tensor

    def views(self, flat: np.ndarray) -> dict[str, np.ndarray]:
        """The tensors as views of a flat buffer."""
        return {
            name: flat[start : start + int(np.prod(shape_))].reshape(shape_)
            for name, (start, shape_) in self.tensors.items()
        }


def parameter_layout(nodes: tuple[Node, ...]) -> ParameterLayout:
    tensors, size = {}, 0
    for node in nodes:
        for name, dimensions in (
            (node.weight, (node.fan_out, node.fan_in)),
            (node.bias, (node.fan_out,)),
        ):
            tensors[name] = size, dimensions
            size += round_up(int(np.prod(dimensions)), LINE)
    return ParameterLayout(tensors, size + round_up(shape.STRIP, LINE))


@dataclass(frozen=True)
class Plan:
    """A program and the sizes of the buffers it runs in, for up to `panels` panels of samples."""

    table: np.ndarray  # (nodes, program.COLUMNS) int64
    constants: np.ndarray  # (nodes, program.CONSTANTS) float32
    panels: int
    activations: int  # floats
    mask_columns: int
    work: int  # floats of one thread

    def shares_panels(self, samples: int, threads: int) -> bool:
        """Whether region 1 is over sooner when threads share panels, and meet after every layer:
        an estimate, of which no bit of the result depends.
        """
        panels = round_up(samples, shape.PANEL) // shape.PANEL
        weights = self.table[:, program.FAN_IN] * self.table[:, program.FAN_OUT]
        panel_s = 2 * shape.PANEL * float(2 * weights.sum() - weights[0]) / THREAD_FLOPS
        whole = -(-panels // threads) * panel_s
        shared = panels / threads * panel_s + 2 * len(self.table) * MEETING_S
        return shared < whole

    def hidden(self, row: int, acts: np.ndarray, samples: int) -> np.ndarray:
        """Output of node `row` for the first samples, (samples, fan_out), copied from its
        panels.
        """
        entry = self.table[row]
        count = round_up(samples, shape.PANEL) // shape.PANEL
        stride, units = entry[program.H_STRIDE], entry[program.FAN_OUT]
        start = entry[program.H_AT]
        panels = acts[start : start + count * stride].reshape(count, stride)
        panels = panels[:, : units * shape.PANEL].reshape(count, units, shape.PANEL)
        return panels.transpose(0, 2, 1).reshape(-1, units)[:samples].copy()


def plan(nodes: tuple[Node, ...], layout: ParameterLayout, panels: int, training: bool) -> Plan:
    """Lay the activations out: in training every layer keeps its own; else two buffers take
    turns.
    """
    table = np.zeros((len(nodes), program.COLUMNS), np.int64)
    constants = np.zeros((len(nodes), program.CONSTANTS), np.float32)
    used = 0

    def take(floats):
        nonlocal used
        start, used = used, used + round_up(floats, LINE)
        return start

    widths = [nodes[0].fan_in, *(node.fan_out for node in nodes)]
    strides = [round_up(w, shape.PANEL) * shape.PANEL + shape.PANEL_GAP for w in widths]
    if training:
        places = [take(panels * stride) for stride in strides]
    else:
        two = [take(panels * max(strides)) for _ in range(2)]
        places = [two[i % 2] for i in range(len(strides))]
    for i, (node, row) in enumerate(zip(nodes, table, strict=True)):
        row[program.FAN_IN], row[program.FAN_OUT] = node.fan_in, node.fan_out
        row[program.W_AT] = layout.tensors[node.weight][0]
        row[program.B_AT] = layout.tensors[node.bias][0]
        row[program.X_AT], row[program.X_STRIDE] = places[i], strides[i]
        row[program.H_AT], row[program.H_STRIDE] = places[i + 1], strides[i + 1]
        if training:
            row[program.T_STRIDE] = panels * shape.PANEL**2
            row[program.T_AT] = take(-(-node.fan_in // shape.PANEL) * row[program.T_STRIDE])
        row[program.ACTIVATION] = activation.CODES[node.activation]
        K, N = node.fan_in, node.fan_out
        row[program.FORWARD_DEPTH] = caches.depth_of(K, shape.PANEL, shape.UNROLL)
        row[program.BACKWARD_DEPTH] = caches.depth_of(N, shape.PANEL, shape.UNROLL)
        row[program.FORWARD_BLOCK] = caches.rows_of(K, shape.ROWS)
        row[program.BACKWARD_BLOCK] = min(caches.rows_of(N, shape.ROWS), round_up(K, shape.ROWS))
        if philox.drop_threshold(node.rate):
            _set_dropout(node, row, constants[i])
    return Plan(
        table=table,
        constants=constants,
        panels=panels,
        activations=used,
        mask_columns=round_up(max(widths), dropout.UNITS_AT_ONCE),
        work=round_up(max(map(_work, table)), LINE),
    )


def _work(row):
    """Floats of one thread's work space for a layer: its head, tiles, and packed strips."""
    strips = row[program.BACKWARD_BLOCK] // shape.ROWS
    return WORK_HEAD + strips * (row[program.FAN_OUT] * shape.ROWS + STRIP_GAP + shape.TILE)


def _set_dropout(node, row, constants):
    row[program.DROPPING], row[program.SITE] = 1, node.site
    row[program.THRESHOLD] = philox.drop_threshold(node.rate)
    row[program.REMASK] = activation.needs_mask(node.activation, node.dropout)
    if node.dropout == "alpha":
        value, (a, b) = ALPHA_PRIME, philox.alpha_dropout_affine(node.rate)
    else:
        value, (a, b) = 0.0, philox.dropout_affine(node.rate)
    constants[program.DROP_VALUE] = value
    constants[program.AFFINE_A], constants[program.AFFINE_B] = a, b
