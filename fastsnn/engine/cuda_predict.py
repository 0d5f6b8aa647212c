"""Prediction engine on an NVIDIA GPU."""

from __future__ import annotations

import threading

import numpy as np

from fastsnn.engine import schedule
from fastsnn.engine.byterows import ByteRows
from fastsnn.engine.device import Launches, kernels
from fastsnn.engine.device_arrays import DeviceParameters, Rows, on_device
from fastsnn.engine.graph import Node
from fastsnn.engine.interface import PredictionEngine as Interface
from fastsnn.engine.layout import ParameterLayout
from fastsnn.engine.parameters import Parameters
from fastsnn.engine.plan import device_plan

CHUNK = 4096  # rows per forward pass


class Passes:
    """Forward passes of one calling thread, on its own buffers in device memory.

    parameters: the copy in device memory. training: apply dropout. keep: keep the outputs of all
    nodes, not only of the last.
    """

    def __init__(
        self,
        nodes: tuple[Node, ...],
        layout: ParameterLayout,
        parameters: DeviceParameters,
        training: bool = False,
        keep: bool = False,
    ):
        self.nodes, self.layout, self.parameters = nodes, layout, parameters
        self.training, self.keep = training, keep
        self.samples = 0
        self.launches: dict[tuple[int, int], tuple[Rows | None, Launches]] = {}

    def reserve(self, samples: int) -> None:
        if samples <= self.samples:
            return
        device, job = kernels().device, kernels().job
        self.plan = device_plan(self.nodes, self.layout, samples, self.keep)
        self.acts = device.zeros(self.plan.activations)
        self.x = device.zeros(samples * self.nodes[0].fan_in)
        self.index = device.to_device(np.arange(samples))
        self.jobs = device.zeros(job.JOB, dtype=np.int64)
        self.slots = device.zeros(job.SLOTS, dtype=np.int64)
        self.samples, self.launches = samples, {}

    def _launch(self, given: Passes | Rows, samples: int) -> None:
        """Launch a pass over `samples` rows of `given`: this object's own buffers, or `Rows`."""
        key = id(given), samples
        if key not in self.launches:
            if len(self.launches) > 8:  # bounds the memory of sizes that occur once
                self.launches = {}
            run = Launches()
            modules, table = kernels(), self.plan.table
            block = schedule.narrow_block(table, samples, False, modules.passes.BLOCKS)
            groups = modules.arguments
            program = groups.Program(table, self.plan.constants, self.parameters.current())
            batch, queue = groups.Batch(given.index, samples), groups.Queue(self.jobs, self.slots)
            modules.program.run_outputs(
                run, block, program, self.acts, given.x, batch, queue, self.training
            )
            # Keeps `Rows` alive, so that their id is not reused.
            self.launches[key] = given if isinstance(given, Rows) else None, run
        self.launches[key][1].run()

    def _pass(self, x: np.ndarray) -> None:
        kernels().device.write(self.x, 0, x.reshape(-1))
        self._launch(self, len(x))

    def _outputs(self, row: int, samples: int) -> np.ndarray:
        start, stride, units = self.plan.outputs(row)
        rows = kernels().device.read(self.acts[start : start + samples * stride])
        outputs: np.ndarray = rows.reshape(samples, stride)[:, :units]
        return outputs

    def run(self, out: np.ndarray, x: np.ndarray) -> None:
        """out[i] = raw outputs for x[i]."""
        self.reserve(min(len(x), CHUNK))
        self.parameters.current()
        for first in range(0, len(x), self.samples):
            rows = x[first : first + self.samples]
            self._pass(rows)
            out[first : first + len(rows)] = self._outputs(len(self.plan.table) - 1, len(rows))

    def run_rows(self, out: np.ndarray, rows: Rows) -> None:
        """out[i] = raw outputs for row i of `rows`, which are in device memory."""
        modules = kernels()
        self.reserve(min(len(rows), CHUNK))
        self.parameters.current()
        job = np.zeros(modules.job.JOB, np.int64)
        for first in range(0, len(rows), self.samples):
            job[modules.job.FIRST_ROW] = first
            modules.device.write(self.jobs, 0, job)
            count = min(self.samples, len(rows) - first)
            self._launch(rows, count)
            out[first : first + count] = self._outputs(len(self.plan.table) - 1, count)
        modules.device.write(self.jobs, 0, np.zeros_like(job))  # `run` starts at row 0

    def hidden(self, x: np.ndarray, seed: int, step: int) -> list[np.ndarray]:
        """Return the result of `PredictionEngine.activations`."""
        modules = kernels()
        coupled = self.training and any(node.couples_rows for node in self.nodes)
        self.reserve(len(x) if coupled else min(len(x), CHUNK))
        self.parameters.current()
        hidden = [np.empty((len(x), node.fan_out), np.float32) for node in self.nodes[:-1]]
        for first in range(0, len(x), self.samples):
            rows = x[first : first + self.samples]
            job = np.zeros(modules.job.JOB, np.int64)
            job[modules.job.BLOCK], job[modules.job.STEP] = first // 8, step & 0xFFFFFFFF
            job[modules.job.SEED] = modules.dropout.signed64(seed)
            modules.device.write(self.jobs, 0, job)
            self._pass(rows)
            for row, out in enumerate(hidden):
                out[first : first + len(rows)] = self._outputs(row, len(rows))
        return hidden


class PredictionEngine(Interface):
    """Prediction engine on a GPU. Each calling thread has its own `Passes`; `Rows` are stored in
    device memory once and shared by all threads.
    """

    def __init__(self, nodes: tuple[Node, ...], parameters: Parameters):
        self.nodes, self.layout = nodes, parameters.layout
        self.parameters = on_device(nodes, parameters)
        self._own = threading.local()  # buffers of each calling thread

    def place(self, x: np.ndarray | ByteRows) -> Rows:
        return Rows(x)

    def expect_predictions(self) -> None:
        pass  # nothing to prepare

    def run(self, out: np.ndarray, x: np.ndarray | Rows, threads: int | None) -> None:
        passes = getattr(self._own, "passes", None)
        if passes is None:
            passes = self._own.passes = Passes(self.nodes, self.layout, self.parameters)
        if isinstance(x, Rows):
            passes.run_rows(out, x)
        else:
            passes.run(out, x)

    def activations(self, x: np.ndarray, training: bool, seed: int, step: int) -> list[np.ndarray]:
        passes = Passes(self.nodes, self.layout, self.parameters, training, keep=True)
        return passes.hidden(x, seed, step)
