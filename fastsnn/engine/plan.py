"""The plan of a network on a backend: the program, a table with one row per node, and the sizes of
its buffers. This is the only module that writes program tables.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fastsnn.engine.graph import Node
from fastsnn.engine.layout import LINE, ParameterLayout, round_up
from fastsnn.engine.ops import OPS
from fastsnn.kernels import activations, philox, program
from fastsnn.kernels.cpu import caches, dropout, shape
from fastsnn.kernels.cpu.dense import STRIP_GAP
from fastsnn.kernels.cpu.program import WORK_HEAD
from fastsnn.theory.fixed_points import selu_constants

Allocate = Callable[[int], int]  # reserve n floats in the activations, return their offset


@dataclass(frozen=True)
class PanelLayout:
    """Layout of activations on the CPU: panels of shape.PANEL samples, [panel][unit][sample]; dz
    overwrites the outputs. Weight gradients read the inputs from transposed copies.
    """

    count: int
    line = LINE

    @property
    def samples(self) -> int:
        samples: int = self.count * shape.PANEL
        return samples

    def stride(self, units: int) -> int:
        """Return the floats from one panel to the next."""
        floats: int = round_up(units, shape.PANEL) * shape.PANEL + shape.PANEL_GAP
        return floats

    def add_columns(
        self, node: Node, above: Node | None, row: np.ndarray, allocate: Allocate, training: bool
    ) -> None:
        row[program.DZ_AT] = row[program.H_AT]
        if training and activations.keeps_input(node.activation):
            row[program.SLOPE_AT] = allocate(self.count * row[program.H_STRIDE])
        if node.op == "dense":
            _set_blocks(node, row)
            if training:
                row[program.T_STRIDE] = self.count * shape.PANEL**2
                row[program.T_AT] = allocate(-(-node.fan_in // shape.PANEL) * row[program.T_STRIDE])


@dataclass(frozen=True)
class RowLayout:
    """Layout of activations on a GPU: one row per sample; dz has separate rows."""

    count: int
    line = 32  # floats of a GPU's cache line

    @property
    def samples(self) -> int:
        return self.count

    def stride(self, units: int) -> int:
        """Return the floats from one row to the next: whole sectors of 32 bytes, the smallest unit
        of a GPU's memory transfers.
        """
        return round_up(units, 8)

    def add_columns(
        self, node: Node, above: Node | None, row: np.ndarray, allocate: Allocate, training: bool
    ) -> None:
        if not training:
            return
        floats = self.count * row[program.H_STRIDE]
        row[program.DZ_AT] = allocate(floats)
        if activations.keeps_input(node.activation):
            # The pre-activation z is stored in the buffer of dz. If a normalization follows, it
            # writes the gradient of the output there first, so z needs a separate buffer.
            normalized = above is not None and OPS[above.op].normalizes
            row[program.SLOPE_AT] = allocate(floats) if normalized else row[program.DZ_AT]


def _tables(
    nodes: tuple[Node, ...],
    layout: ParameterLayout,
    target: PanelLayout | RowLayout,
    training: bool,
) -> tuple[np.ndarray, np.ndarray, int]:
    """Return (program, constants, floats of the activations) for the layout `target`. In training
    and in networks with skip connections, every node has its own output buffer; otherwise two
    buffers alternate.
    """
    table = np.zeros((len(nodes), program.COLUMNS), np.int64)
    constants = np.zeros((len(nodes), program.CONSTANTS), np.float32)
    used = 0

    def allocate(floats: int) -> int:
        nonlocal used
        start, used = used, used + round_up(int(floats), target.line)
        return start

    strides = [target.stride(width) for width in _widths(nodes)]
    places = _places([target.count * stride for stride in strides], allocate, training, nodes)
    for i, (node, row) in enumerate(zip(nodes, table, strict=True)):
        _describe(node, row, constants[i], layout)
        row[program.X_AT], row[program.X_STRIDE] = places[i], strides[i]
        row[program.H_AT], row[program.H_STRIDE] = places[i + 1], strides[i + 1]
        row[program.SLOPE_AT] = row[program.H_AT]
        above = nodes[i + 1] if i + 1 < len(nodes) else None
        target.add_columns(node, above, row, allocate, training)
        if training and OPS[node.op].normalizes:
            row[program.NORMAL_AT] = allocate(target.count * strides[i + 1])
            row[program.STATISTICS_AT] = allocate(max(2 * node.fan_out, target.samples))
        _set_skip(node, i, table, places)
    return table, constants, used


@dataclass(frozen=True)
class Plan:
    """A program for the CPU and the sizes of its buffers, for up to `panels` panels of samples."""

    table: np.ndarray  # (nodes, program.COLUMNS) int64
    constants: np.ndarray  # (nodes, program.CONSTANTS) float32
    panels: int
    activations: int  # floats
    mask_columns: int
    work: int  # floats of one thread

    def hidden(self, row: int, acts: np.ndarray, samples: int) -> np.ndarray:
        """Return the output of node `row` for the first `samples` samples, (samples, fan_out), as a
        copy.
        """
        entry = self.table[row]
        count = round_up(samples, shape.PANEL) // shape.PANEL
        stride, units = entry[program.H_STRIDE], entry[program.FAN_OUT]
        start = entry[program.H_AT]
        rows = acts[start : start + count * stride].reshape(count, stride)
        panels = rows[:, : units * shape.PANEL].reshape(count, units, shape.PANEL)
        return panels.transpose(0, 2, 1).reshape(-1, units)[:samples].copy()


def plan(nodes: tuple[Node, ...], layout: ParameterLayout, panels: int, training: bool) -> Plan:
    """Return the plan for the CPU, for up to `panels` panels."""
    table, constants, used = _tables(nodes, layout, PanelLayout(panels), training)
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
    """A program for a GPU and the size of its activations, for up to `samples` rows."""

    table: np.ndarray  # as in `Plan`
    constants: np.ndarray
    samples: int
    activations: int  # floats

    def outputs(self, row: int) -> tuple[int, int, int]:
        """Return (offset, stride in floats, units) of the outputs of node `row`."""
        entry = self.table[row]
        columns = program.H_AT, program.H_STRIDE, program.FAN_OUT
        start, stride, units = (int(entry[column]) for column in columns)
        return start, stride, units


def device_plan(
    nodes: tuple[Node, ...], layout: ParameterLayout, samples: int, training: bool
) -> DevicePlan:
    """Return the plan for a GPU, for up to `samples` rows."""
    table, constants, used = _tables(nodes, layout, RowLayout(samples), training)
    return DevicePlan(table, constants, samples, used)


def _widths(nodes: tuple[Node, ...]) -> list[int]:
    return [nodes[0].fan_in, *(node.fan_out for node in nodes)]


def _places(
    sizes: list[int], allocate: Allocate, training: bool, nodes: tuple[Node, ...]
) -> list[int]:
    """Return the offsets of the input and of the outputs of all nodes."""
    if training or any(node.skip is not None for node in nodes):
        return [allocate(size) for size in sizes]
    two = [allocate(max(sizes)) for _ in range(2)]
    return [two[i % 2] for i in range(len(sizes))]


def _describe(node: Node, row: np.ndarray, constants: np.ndarray, layout: ParameterLayout) -> None:
    """Set the columns that do not depend on the layout of the activations."""
    row[program.OP] = OPS[node.op].code
    row[program.FAN_IN], row[program.FAN_OUT] = node.fan_in, node.fan_out
    for column in (program.SKIP_AT, program.GRADIENT_AT, program.G_AT, program.V_AT):
        row[column] = program.NOWHERE
    row[program.ACTIVATION] = activations.code_of(node.activation)
    alpha, lambda_ = selu_constants(*node.fixed_point)
    constants[program.SELU_LAMBDA] = lambda_
    constants[program.SELU_LAMBDA_ALPHA] = lambda_ * alpha
    OPS[node.op].describe(node, row, constants, layout.at)
    if philox.drop_threshold(node.rate):
        _set_dropout(node, row, constants, -lambda_ * alpha)


def _set_skip(node: Node, i: int, table: np.ndarray, places: list[int]) -> None:
    """Record the skip connection that ends in node i: the offset of its input, and of the gradient
    that is added back to that input's gradient.
    """
    if node.skip is not None:
        table[i, program.SKIP_AT] = places[node.skip + 1]
        table[node.skip + 1, program.GRADIENT_AT] = table[i, program.DZ_AT]


def _set_blocks(node: Node, row: np.ndarray) -> None:
    K, N = node.fan_in, node.fan_out
    row[program.FORWARD_DEPTH] = caches.depth_of(K, shape.PANEL, shape.UNROLL)
    row[program.BACKWARD_DEPTH] = caches.depth_of(N, shape.PANEL, shape.UNROLL)
    row[program.FORWARD_BLOCK] = caches.rows_of(K, shape.ROWS)
    row[program.BACKWARD_BLOCK] = min(caches.rows_of(N, shape.ROWS), round_up(K, shape.ROWS))


def _work(row: np.ndarray) -> int:
    """Return the floats of a thread's work space for a layer: head, tiles, packed strips."""
    strips = row[program.BACKWARD_BLOCK] // shape.ROWS
    strip = row[program.FAN_OUT] * shape.ROWS + STRIP_GAP + shape.TILE
    return int(WORK_HEAD + strips * strip)


def _set_dropout(node: Node, row: np.ndarray, constants: np.ndarray, saturation: float) -> None:
    """Set the columns of dropout. saturation: limit of SELU for z -> -infinity, the value of a unit
    that alpha-dropout drops.
    """
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
