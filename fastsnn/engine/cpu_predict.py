"""Prediction engine on the CPU."""

from __future__ import annotations

import threading
from functools import partial

import numpy as np

from fastsnn.checks.inputs import NO_INTEGERS
from fastsnn.engine import threads as processors
from fastsnn.engine.byterows import ByteRows
from fastsnn.engine.cpu import derive_weights, load_kernels
from fastsnn.engine.graph import Node
from fastsnn.engine.interface import PredictionEngine as Interface
from fastsnn.engine.layout import ParameterLayout, aligned_zeros, round_up
from fastsnn.engine.pace import Pace
from fastsnn.engine.parameters import Parameters
from fastsnn.engine.plan import plan
from fastsnn.kernels import jit
from fastsnn.kernels.cpu import program, regions, single
from fastsnn.kernels.cpu.arguments import Batch, Buffers, Masks, Part, Program
from fastsnn.kernels.cpu.dropout import signed64
from fastsnn.kernels.cpu.shape import PANEL

FEW = 4  # batches of at most FEW rows are predicted row by row
CHUNK = 8 * PANEL  # rows per forward pass of `activations`


class SingleRows:
    """Prediction of at most FEW rows with one version of a network's parameters, for networks of
    plain dense layers. Safe to call from several threads concurrently.

    A call takes the time of reading the weights once per row, plus the call overhead.
    """

    def __init__(self, nodes: tuple[Node, ...], parameters: Parameters):
        jit.load(single.run_single)
        parameters.fetch()
        self.version = parameters.version
        planned = plan(nodes, parameters.layout, 1, training=False)
        self.table, self.constants = planned.table, planned.constants
        sizes = [single.packed_floats(node.fan_in, node.fan_out) for node in nodes]
        self.packed, at = aligned_zeros(sum(sizes)), 0
        tensors = parameters.tensors
        for node, size in zip(nodes, sizes, strict=True):
            single.pack(self.packed[at : at + size], tensors[node.weight], tensors[node.bias])
            at += size
        self.width = round_up(max(node.fan_out for node in nodes), single.UNITS)
        self.works = threading.local()

    def run(self, out: np.ndarray, x: np.ndarray) -> None:
        """out[i] = raw outputs for x[i]."""
        work = getattr(self.works, "work", None)
        if work is None:
            work = self.works.work = aligned_zeros(FEW * 2 * self.width)
        single.run_single(out, self.table, self.constants, self.packed, work, x, self.width)


class _Buffers:
    """Buffers of one calling thread, for up to `threads` pool threads."""

    def __init__(self) -> None:
        self.threads = 0
        self.pace = Pace(first=10, longest=0.1)

    def reserve(self, nodes: tuple[Node, ...], layout: ParameterLayout, threads: int) -> None:
        if threads <= self.threads:
            return
        load_kernels(threads, training=False)
        self.plan = plan(nodes, layout, regions.PREDICT_PANELS, training=False)
        self.acts = aligned_zeros(threads, round_up(self.plan.activations, 16))
        self.work = aligned_zeros(threads, self.plan.work)
        self.bits = np.zeros((regions.PREDICT_PANELS, 1), np.uint32)
        self.threads = threads


class PredictionEngine(Interface):
    """Prediction engine on the CPU. Panels of rows pass through all layers together. Up to FEW rows
    use `SingleRows`, from the second such call with the same parameters on.
    """

    def __init__(self, nodes: tuple[Node, ...], parameters: Parameters):
        self.nodes, self.parameters = nodes, parameters
        self._derive = partial(derive_weights, nodes, parameters.layout)
        self._plain = all(
            node.op == "dense" and not node.weight_norm and node.skip is None for node in nodes
        )
        self._single: SingleRows | None = None
        self._seen_version = -1
        self._own = threading.local()  # buffers of each calling thread

    def place(self, x: np.ndarray | ByteRows) -> np.ndarray | ByteRows:
        return x

    def expect_predictions(self) -> None:
        self._seen_version = self.parameters.version

    def run(self, out: np.ndarray, x: np.ndarray, threads: int | None) -> None:
        if self._plain and len(x) <= FEW and (single_rows := self._single_rows()) is not None:
            single_rows.run(out, x)
            return
        buffers = getattr(self._own, "buffers", None)
        if buffers is None:
            buffers = self._own.buffers = _Buffers()
        threads = processors.resolve(threads)
        buffers.reserve(self.nodes, self.parameters.layout, threads)
        arguments = (
            program.run_forward.address, threads, out, buffers.plan.table, buffers.plan.constants,
            self.parameters.current(self._derive), buffers.acts, buffers.bits, buffers.work, x,
        )  # fmt: skip
        if threads == 1 or len(x) <= PANEL:
            regions.predict_serial(*arguments)
        else:
            with buffers.pace.region(threads, round_up(len(x), PANEL)):
                regions.predict_parallel(*arguments)

    def _single_rows(self) -> SingleRows | None:
        """Return the packed copy of the current parameters, or None. The copy is created at the
        second call with the same parameters, because a network in training may use them only once.
        """
        single_rows, version = self._single, self.parameters.version
        if single_rows is not None and single_rows.version == version:
            return single_rows
        if self._seen_version != version:
            self._seen_version = version
            return None
        self._single = SingleRows(self.nodes, self.parameters)
        return self._single

    def activations(self, x: np.ndarray, training: bool, seed: int, step: int) -> list[np.ndarray]:
        load_kernels(1, training=False)
        flat = self.parameters.current(self._derive)
        chunk = CHUNK
        if training and any(node.couples_rows for node in self.nodes):
            chunk = round_up(len(x), PANEL)
        run = plan(self.nodes, self.parameters.layout, chunk // PANEL, training=True)
        acts, work = aligned_zeros(run.activations), aligned_zeros(run.work)
        bits = np.zeros((run.panels, run.mask_columns), np.uint32)
        hidden = [np.empty((len(x), node.fan_out), np.float32) for node in self.nodes[:-1]]
        planned, buffers = Program(run.table, run.constants, flat), Buffers(acts, bits, work)
        part = Part(0, len(run.table) + 1, split=0, part=0, parts=1)  # one thread runs all stages
        for first in range(0, len(x), chunk):
            samples = min(chunk, len(x) - first)
            batch = Batch(NO_INTEGERS, first, samples)
            masks = Masks(first, step & 0xFFFFFFFF, signed64(seed))
            program.run_forward(planned, buffers, x, batch, part, masks, int(training))
            for row, out in enumerate(hidden):
                out[first : first + samples] = run.hidden(row, acts, samples)
        return hidden
