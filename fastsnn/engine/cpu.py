"""The CPU backend: loading of its kernels, and the training engine."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from fastsnn.engine import threads as processors
from fastsnn.engine.batch import Batch, Steps
from fastsnn.engine.graph import Node
from fastsnn.engine.interface import TrainingEngine as Interface
from fastsnn.engine.layout import ParameterLayout, aligned_zeros, round_up
from fastsnn.engine.pace import Pace
from fastsnn.engine.parameters import Parameters
from fastsnn.engine.plan import Plan, plan
from fastsnn.engine.schedule import shares_panels
from fastsnn.kernels import jit, updates
from fastsnn.kernels.cpu import checks, directions, program, regions, single
from fastsnn.kernels.cpu.dropout import signed64
from fastsnn.kernels.cpu.shape import PANEL
from fastsnn.kernels.losses import require as require_loss
from fastsnn.losses import Loss

log = logging.getLogger("fastsnn")

Report = Callable[[str], None]

PREDICTION = (program.run_forward, directions.derive_weights)
TRAINING = (
    *PREDICTION, checks.check_batch, program.run_backward, program.run_weights,
    program.run_directions,
)  # fmt: skip
# Upper bounds of one native call: steps, and operations (about a twentieth of a second).
MAX_STEPS, MAX_FLOPS = 64, 4e9


def load_kernels(threads: int, training: bool = True, report: Report = log.warning) -> float:
    """Compile the kernels of training, or of prediction only, or load them from the cache. Return
    the time in seconds.
    """
    also = *_entries(threads, True), *_entries(1, False), single.run_single
    seconds: float = jit.load(*_entries(threads, training), also=also, report=report)
    return seconds


def compiled(threads: int) -> bool:
    """Return True if all kernels of training with this number of threads are in the cache."""
    return all(entry.on_disk() for entry in _entries(threads, training=True))


def _entries(threads: int, training: bool) -> tuple[Any, ...]:  # jit.Entry objects
    serial = threads == 1
    entries = [regions.predict_serial if serial else regions.predict_parallel]
    if training:
        entries.append(regions.steps_serial if serial else regions.step_parallel)
    return (*(TRAINING if training else PREDICTION), *entries)


def derive_weights(nodes: tuple[Node, ...], layout: ParameterLayout, flat: np.ndarray) -> None:
    """Compute the derived tensors of a flat buffer (weights of weight normalization)."""
    table = plan(nodes, layout, 1, training=False).table
    directions.derive_weights(table, flat, np.zeros(PANEL, np.float32))


class TrainingEngine(Interface):
    """Training engine on the CPU: runs the regions of `kernels/cpu/regions.py` on its own
    buffers.
    """

    def __init__(self, nodes: tuple[Node, ...], parameters: Parameters, threads: int, n_state: int):
        layout = parameters.layout
        self.nodes, self.parameters, self.threads = nodes, parameters, threads
        self.normalizes_weights = bool(layout.derived)
        self._derive = partial(derive_weights, nodes, layout)
        # Weight normalization stores the gradient of its weights in the first array of the state.
        self._state = aligned_zeros(max(n_state, int(self.normalizes_weights)), layout.size)
        self.n_state = n_state
        self.hypers = np.zeros((MAX_STEPS, updates.HYPER), np.float32)
        self.step_losses = np.zeros(MAX_STEPS)
        self.sizes = np.zeros(MAX_STEPS, np.int64)
        self.job = np.zeros(regions.JOB, np.int64)
        self.rows = np.zeros(0, np.int64)
        self.plan: Plan = None  # type: ignore[assignment]  # until the first `reserve`
        self.pace = Pace()

    @property
    def state(self) -> np.ndarray:
        return self._state[: self.n_state]

    def state_changed(self) -> None:
        pass  # kernels read and write `state` itself

    def reserve(self, samples: int) -> None:
        if self.plan is not None and samples <= self.plan.panels * PANEL:
            return
        panels = round_up(samples, PANEL) // PANEL
        self.plan = plan(self.nodes, self.parameters.layout, panels, training=True)
        self.shares: dict[tuple[int, int], bool] = {}  # results of `shares_panels`
        self.acts = aligned_zeros(self.plan.activations)
        self.bits = aligned_zeros(panels, self.plan.mask_columns, dtype=np.uint32)
        self.work = aligned_zeros(self.threads, self.plan.work)
        self.losses = np.zeros(panels * PANEL)
        self.rows = np.arange(panels * PANEL)
        self.job[regions.FORWARD] = program.run_forward.address
        self.job[regions.BACKWARD] = program.run_backward.address
        self.job[regions.WEIGHTS] = program.run_weights.address
        if self.normalizes_weights:
            self.job[regions.DIRECTIONS] = program.run_directions.address

    def _prepare(self, steps: Steps) -> None:
        """Reserve the buffers and write the job of the first step."""
        first_row, sizes, step, seed, loss, update, _, _ = steps
        updates.require(update)
        require_loss(loss._code)
        samples = max(sizes)
        self.reserve(samples)
        self.parameter = np.float32(loss._parameter)
        job = self.job
        job[regions.FIRST_ROW], job[regions.SAMPLES] = first_row, samples
        job[regions.STEP], job[regions.SEED] = step & 0xFFFFFFFF, signed64(seed)
        job[regions.LOSS], job[regions.UPDATE] = loss._code, update
        job[regions.THREADS] = threads = processors.resolve(self.threads)
        job[regions.SPLIT] = self._shares_panels(samples, threads)

    def _shares_panels(self, samples: int, threads: int) -> bool:
        key = samples, threads
        if key not in self.shares:
            self.shares[key] = shares_panels(self.plan.table, samples, threads)
        return self.shares[key]

    def _run(
        self, flat: np.ndarray, state: np.ndarray, batch: Batch, steps: Steps
    ) -> tuple[list[float], bool]:
        """Run the steps. Return the losses of the steps that were run, at least one, and True if
        the last one overflowed.
        """
        buffers = (
            self.job, self.losses, self.plan.table, self.plan.constants, flat, state, self.acts,
            self.bits, self.work,
        )  # fmt: skip
        sizes, count = steps.sizes, len(steps.sizes)
        self.sizes[:count] = sizes
        threads = int(self.job[regions.THREADS])
        if threads == 1:
            done = regions.steps_serial(
                self.step_losses[:count], self.sizes[:count], self.hypers[:count], steps.limit,
                *buffers, *batch, self.parameter,
            )  # fmt: skip
            losses = self.step_losses[:done].tolist()
        else:
            assert count == 1, "one parallel step at a time"
            with self.pace.region(threads, round_up(int(sizes[0]), PANEL)):
                losses = [regions.step_parallel(*buffers, *batch, self.parameter, self.hypers[0])]
        return losses, bool(self.job[regions.OVERFLOW])

    def load(self, report: Report = log.warning) -> float:
        return load_kernels(self.threads, report=report)

    def place(self, data: Batch) -> Batch:
        return data

    def steps_per_call(self, samples: int, watched: bool) -> int:
        # Several, if the overhead of a call from Python would be comparable to a step.
        if watched or processors.resolve(self.threads) > 1:
            return 1
        weights = self.parameters.layout.size
        return int(min(MAX_STEPS, max(1, MAX_FLOPS // (6 * weights * samples))))

    def steps(self, batch: Batch, steps: Steps) -> tuple[list[float], bool]:
        self._prepare(steps)
        for into, hyper in zip(self.hypers, steps.hypers, strict=False):
            into[: len(hyper)] = hyper
        return self.parameters.update(
            len(steps.sizes), self._derive, self._run, self._state, batch, steps
        )

    def gradients(
        self, batch: Batch, samples: int, step: int, seed: int, loss: Loss
    ) -> tuple[float, np.ndarray]:
        steps = Steps.of_gradient(samples, step, seed, loss)
        self._prepare(steps)
        gradient = aligned_zeros(1, self.parameters.layout.size)
        flat = self.parameters.current(self._derive)
        (value,), _ = self._run(flat, gradient, batch, steps)
        return value, gradient[0]
