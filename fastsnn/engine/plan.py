"""Where everything lives: one flat parameter buffer, one flat activation buffer, and the program
over them.
"""

import math
from dataclasses import dataclass

import numpy as np

from fastsnn.engine.graph import Node
from fastsnn.engine.ops import OPS
from fastsnn.kernels import activations, philox, program
from fastsnn.kernels.cpu import caches, dropout, shape
from fastsnn.kernels.cpu.dense import STRIP_GAP
from fastsnn.kernels.cpu.program import WORK_HEAD
from fastsnn.theory.fixed_points import solve

THREAD_FLOPS = 8e10  # a second, of one thread in the products of region 1
MEETING_S = 2e-6  # for all threads to end one region and begin the next
LINE = 16  # floats of a cache line: every tensor starts on one
SECTOR = 8  # floats that a GPU moves at least: rows of activations are multiples of it
DEVICE_LINE = 32  # floats of a GPU's cache line


def round_up(n, multiple):
    return -(-n // multiple) * multiple


def aligned_zeros(*dimensions, dtype=np.float32):
    """Zeros that start on a cache line: a vector of 64 bytes never crosses two."""
    nbytes = math.prod(dimensions) * np.dtype(dtype).itemsize
    if nbytes >= 1 << 47:  # beyond the address space of a process
        raise MemoryError("a buffer of more than 2**47 bytes is required")
    raw = np.zeros(nbytes + 64, np.uint8)
    start = -raw.ctypes.data % 64
    return raw[start : start + nbytes].view(dtype).reshape(dimensions)


@dataclass(frozen=True)
class ParameterLayout:
    """Tensors by name in the flat parameter buffer: first float and shape, in the order of the
    network.
    """

    tensors: dict[str, tuple[int, tuple[int, ...]]]
    derived: dict[str, tuple[int, tuple[int, ...]]]  # computed from others, in no state dict
    size: int  # floats, with what kernels may read behind the last tensor

    def views(self, flat: np.ndarray) -> dict[str, np.ndarray]:
        """The tensors as views of a flat buffer."""
        return {
            name: flat[start : start + math.prod(shape_)].reshape(shape_)
            for name, (start, shape_) in self.tensors.items()
        }

    def trained(self, flat: np.ndarray) -> dict[str, np.ndarray]:
        """`views` of what an optimizer changes: all but running statistics."""
        views = self.views(flat)
        return {name: view for name, view in views.items() if ".running_" not in name}

    def at(self, name: str) -> int:
        return (self.tensors if name in self.tensors else self.derived)[name][0]


def parameter_layout(nodes: tuple[Node, ...]) -> ParameterLayout:
    tensors, derived, size = {}, {}, 0
    for node in nodes:
        for name, dimensions, is_derived in OPS[node.op].tensors(node):
            (derived if is_derived else tensors)[name] = size, dimensions
            size += round_up(math.prod(dimensions), LINE)
    return ParameterLayout(tensors, derived, size + round_up(shape.STRIP, LINE))


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
        dense = self.table[self.table[:, program.OP] == program.DENSE]
        weights = dense[:, program.FAN_IN] * dense[:, program.FAN_OUT]
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
    """Lay the activations out: in training, and where there are skips, every node keeps its own;
    else two buffers take turns.
    """
    table = np.zeros((len(nodes), program.COLUMNS), np.int64)
    constants = np.zeros((len(nodes), program.CONSTANTS), np.float32)
    used = 0

    def take(floats):
        nonlocal used
        start, used = used, used + round_up(floats, LINE)
        return start

    strides = [round_up(w, shape.PANEL) * shape.PANEL + shape.PANEL_GAP for w in _widths(nodes)]
    places = _places([panels * stride for stride in strides], take, training, nodes)
    for i, (node, row) in enumerate(zip(nodes, table, strict=True)):
        _describe(node, row, constants[i], layout)
        row[program.X_AT], row[program.X_STRIDE] = places[i], strides[i]
        row[program.H_AT], row[program.H_STRIDE] = places[i + 1], strides[i + 1]
        row[program.DZ_AT] = row[program.SLOPE_AT] = row[program.H_AT]
        if training and activations.keeps_input(node.activation):
            row[program.SLOPE_AT] = take(panels * strides[i + 1])
        if node.op == "dense":
            _set_blocks(node, row)
            if training:
                row[program.T_STRIDE] = panels * shape.PANEL**2
                row[program.T_AT] = take(-(-node.fan_in // shape.PANEL) * row[program.T_STRIDE])
        elif node.op != "highway" and training:
            row[program.NORMAL_AT] = take(panels * strides[i + 1])
            row[program.STATISTICS_AT] = take(max(2 * node.fan_out, panels * shape.PANEL))
        _set_skip(node, i, table, places)
    return Plan(
        table=table,
        constants=constants,
        panels=panels,
        activations=used,
        mask_columns=round_up(max(_widths(nodes)), dropout.UNITS_AT_ONCE),
        work=round_up(max(map(_work, table)), LINE),
    )


@dataclass(frozen=True)
class DevicePlan:
    """The same for a GPU, where activations lie row by row, and dz beside them."""

    table: np.ndarray
    constants: np.ndarray
    samples: int
    activations: int  # floats

    def outputs(self, row: int) -> tuple[int, int, int]:
        """Of node `row`: the first float, floats from row to row, units."""
        entry = self.table[row]
        return tuple(int(entry[c]) for c in (program.H_AT, program.H_STRIDE, program.FAN_OUT))


def device_plan(
    nodes: tuple[Node, ...], layout: ParameterLayout, samples: int, training: bool
) -> DevicePlan:
    """Lay the activations of up to `samples` rows out on a GPU; as in `plan`."""
    table = np.zeros((len(nodes), program.COLUMNS), np.int64)
    constants = np.zeros((len(nodes), program.CONSTANTS), np.float32)
    used = 0

    def take(floats):
        nonlocal used
        start, used = used, used + round_up(floats, DEVICE_LINE)
        return start

    strides = [round_up(w, SECTOR) for w in _widths(nodes)]
    places = _places([samples * stride for stride in strides], take, training, nodes)
    for i, (node, row) in enumerate(zip(nodes, table, strict=True)):
        _describe(node, row, constants[i], layout)
        row[program.X_AT], row[program.X_STRIDE] = places[i], strides[i]
        row[program.H_AT], row[program.H_STRIDE] = places[i + 1], strides[i + 1]
        row[program.SLOPE_AT] = row[program.H_AT]
        if training:
            row[program.DZ_AT] = take(samples * strides[i + 1])
        if training and activations.keeps_input(node.activation):
            row[program.SLOPE_AT] = _slope_place(row, nodes[i + 1], samples * strides[i + 1], take)
        if training and node.op in ("batch_norm", "layer_norm"):
            row[program.NORMAL_AT] = take(samples * strides[i + 1])
            row[program.STATISTICS_AT] = take(max(2 * node.fan_out, samples))
        _set_skip(node, i, table, places)
    return DevicePlan(table, constants, samples, used)


def _slope_place(row, above, floats, take):
    """Where a GPU keeps the pre-activation until its dz takes the same place; in front of a
    normalization, which first puts the gradient of the output there, in a place of its own.
    """
    if above.op in ("batch_norm", "layer_norm"):
        return take(floats)
    return row[program.DZ_AT]


def _widths(nodes):
    return [nodes[0].fan_in, *(node.fan_out for node in nodes)]


def _places(sizes, take, training, nodes):
    """Where the input and the outputs of all nodes lie."""
    if training or any(node.skip is not None for node in nodes):
        return [take(size) for size in sizes]
    two = [take(max(sizes)) for _ in range(2)]
    return [two[i % 2] for i in range(len(sizes))]


def _describe(node, row, constants, layout):
    """What does not depend on the layout of activations."""
    row[program.OP] = OPS[node.op].code
    row[program.FAN_IN], row[program.FAN_OUT] = node.fan_in, node.fan_out
    for column in (program.SKIP_AT, program.GRADIENT_AT, program.G_AT, program.V_AT):
        row[column] = program.NOWHERE
    row[program.ACTIVATION] = activations.code_of(node.activation)
    alpha, lambda_ = solve(*node.fixed_point)
    constants[program.SELU_LAMBDA] = lambda_
    constants[program.SELU_LAMBDA_ALPHA] = lambda_ * alpha
    OPS[node.op].describe(node, row, constants, layout.at)
    if philox.drop_threshold(node.rate):
        _set_dropout(node, row, constants, -lambda_ * alpha)


def _set_skip(node, i, table, places):
    """What the node adds is read again by the node above its own reader."""
    if node.skip is not None:
        table[i, program.SKIP_AT] = places[node.skip + 1]
        table[node.skip + 1, program.GRADIENT_AT] = table[i, program.DZ_AT]


def _set_blocks(node, row):
    K, N = node.fan_in, node.fan_out
    row[program.FORWARD_DEPTH] = caches.depth_of(K, shape.PANEL, shape.UNROLL)
    row[program.BACKWARD_DEPTH] = caches.depth_of(N, shape.PANEL, shape.UNROLL)
    row[program.FORWARD_BLOCK] = caches.rows_of(K, shape.ROWS)
    row[program.BACKWARD_BLOCK] = min(caches.rows_of(N, shape.ROWS), round_up(K, shape.ROWS))


def _work(row):
    """Floats of one thread's work space for a layer: its head, tiles, and packed strips."""
    strips = row[program.BACKWARD_BLOCK] // shape.ROWS
    return WORK_HEAD + strips * (row[program.FAN_OUT] * shape.ROWS + STRIP_GAP + shape.TILE)


def _set_dropout(node, row, constants, saturation):
    row[program.DROPPING], row[program.SITE] = 1, node.site
    row[program.THRESHOLD] = philox.drop_threshold(node.rate)
    row[program.REMASK] = activations.needs_mask(node.activation, node.dropout)
    if node.dropout == "alpha":
        value = saturation
        a, b = philox.alpha_dropout_affine(node.rate, *node.fixed_point, value)
    else:
        value, (a, b) = 0.0, philox.dropout_affine(node.rate)
    constants[program.DROP_VALUE] = value
    constants[program.AFFINE_A], constants[program.AFFINE_B] = a, b
