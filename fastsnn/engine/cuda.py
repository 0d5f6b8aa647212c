"""Training engine on an NVIDIA GPU."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fastsnn.engine import schedule
from fastsnn.engine.batch import Batch, Steps
from fastsnn.engine.device import DeviceArray, Launches, kernels
from fastsnn.engine.device_arrays import Data, features, on_device, weighted_by
from fastsnn.engine.graph import Node
from fastsnn.engine.interface import TrainingEngine as Interface
from fastsnn.engine.parameters import Parameters
from fastsnn.engine.plan import DevicePlan, device_plan
from fastsnn.kernels.losses import NUMBERS
from fastsnn.kernels.losses import require as require_loss
from fastsnn.losses import Loss

MAX_STEPS = 64  # steps queued per host-device round trip


class TrainingEngine(Interface):
    """Training engine on a GPU: repeats the launches of a step on buffers in device memory."""

    def __init__(
        self,
        nodes: tuple[Node, ...],
        parameters: Parameters,
        n_state: int,
        precision: str = "float32",
    ):
        device, job = kernels().device, kernels().job
        kernels().tensor.require(precision)
        self.nodes, self.layout, self.precision = nodes, parameters.layout, precision
        self.parameters = on_device(nodes, parameters)
        self.n_state = n_state
        size = self.layout.size
        self._state = device.zeros(max(1, n_state) * size)
        self._host_state = np.zeros((n_state, size), np.float32)
        self._host_is_new = True
        self.jobs = device.zeros(MAX_STEPS * job.JOB, dtype=np.int64)
        self.hypers = device.zeros(MAX_STEPS * job.HYPERS)
        self.slots = device.zeros(job.SLOTS, dtype=np.int64)
        self.step_losses = device.zeros(MAX_STEPS)
        self.rows = np.zeros(0, np.int64)
        self.plan: DevicePlan = None  # type: ignore[assignment]  # until the first `reserve`
        self.batch: Data | None = None
        self.gradient: DeviceArray | None = None  # allocated by the first call of `gradients`
        # Key: (id of the data, samples, code of the loss, code of the update).
        self.launches: dict[tuple[int, int, int, int], tuple[Data, Launches]] = {}

    @property
    def state(self) -> np.ndarray:
        if not self._host_is_new and self.n_state:
            kernels().device.read(self._state, self._host_state.reshape(-1))
        self._host_is_new = True
        return self._host_state

    def state_changed(self) -> None:
        if self.n_state:
            kernels().device.write(self._state, 0, self._host_state.reshape(-1))

    def load(self, report: Callable[[str], None] | None = None) -> float:
        return 0.0  # kernels are compiled when the launches of a step are prepared

    def place(self, data: Batch) -> Batch:
        self.launches = {}  # also releases the previous data
        return data._replace(x=Data(features(data.x), data, len(data.x)))

    def reserve(self, samples: int) -> None:
        if self.plan is not None and samples <= self.plan.samples:
            return
        device = kernels().device
        self.plan = device_plan(self.nodes, self.layout, samples, training=True)
        self.acts: DeviceArray = None  # frees the old buffer before the new one is allocated
        self.acts = device.zeros(self.plan.activations)
        self.losses = device.zeros(samples)
        self.rows = np.arange(samples)
        self.batch = None
        self.launches = {}

    def steps_per_call(self, samples: int, watched: bool) -> int:
        return MAX_STEPS  # also if watched: losses are read once per round trip

    def _data(self, batch: Batch) -> Data:
        """Return the arrays of a batch in device memory."""
        if isinstance(batch.x, Data):
            batch.x.set_order(batch.index)
            return batch.x
        mine = self.batch
        if mine is None or (mine.weighted, mine.class_weighted) != weighted_by(batch):
            mine = self.batch = Data.with_capacity(batch, self.plan.samples)
            self.launches = {}
        mine.fill(batch)
        return mine

    def _launches(
        self,
        params: DeviceArray,
        data: Data,
        samples: int,
        loss: int,
        update: int,
        state: DeviceArray,
    ) -> Launches:
        """Return the launches of a step of `samples` rows."""
        key = id(data), samples, loss, update
        if key in self.launches:
            return self.launches[key][1]
        modules, run = kernels(), Launches()
        groups, table = modules.arguments, self.plan.table
        program = groups.Program(table, self.plan.constants, params)
        queue = groups.Queue(self.jobs, self.slots, self.hypers, self.step_losses)
        batch = groups.Batch(data.index, samples)
        targets = groups.Targets(*data.arrays, int(data.weighted), int(data.class_weighted))
        block = schedule.narrow_block(table, samples, True, modules.passes.BLOCKS)
        modules.program.run_rows(
            run, block, self.losses, program, self.acts, data.x, batch, targets, queue, loss,
            self.precision,
        )  # fmt: skip
        tiling, size = modules.weights.Tiling(table, samples, self.precision), self.layout.size
        modules.program.run_weights(
            run, program, tiling, state, self.acts, queue, update, size, samples
        )
        modules.program.run_directions(run, program, state, queue, update, size)
        self.launches[key] = data, run  # keeps the data alive, so that its id is not reused
        return run

    def _run(
        self, params: DeviceArray, state: DeviceArray, batch: Batch, steps: Steps
    ) -> tuple[list[float], np.ndarray]:
        """Queue all steps and wait. Return (mean losses, overflow marks) of all steps, including
        those that the device skipped. A nonzero mark: the update overflowed.
        """
        modules = kernels()
        first_row, sizes, step, seed, loss, update, hypers, limit = steps
        self.reserve(max(sizes))
        data = self._data(batch)
        jobs = np.zeros((len(sizes), modules.job.JOB), np.int64)
        scalars = np.zeros((len(sizes), modules.job.HYPERS), np.float32)
        numbers = require_loss(loss._code).targets == NUMBERS
        outputs = self.nodes[-1].fan_out if numbers else 1
        for i, (size, hyper) in enumerate(zip(sizes, hypers, strict=True)):
            jobs[i, modules.job.FIRST_ROW], first_row = first_row, first_row + size
            jobs[i, modules.job.STEP] = (step + i) & 0xFFFFFFFF
            scalars[i, : len(hyper)] = hyper
            scalars[i, modules.job.PARAMETER] = loss._parameter
            scalars[i, modules.job.SCALE] = 1 / (size * outputs)
        jobs[:, modules.job.SEED] = modules.dropout.signed64(seed)
        scalars[:, modules.job.LIMIT] = limit
        modules.device.write(self.jobs, 0, jobs.reshape(-1))
        modules.device.write(self.hypers, 0, scalars.reshape(-1))
        modules.device.write(self.slots, 0, np.zeros(modules.job.SLOTS, np.int64))
        for size in sizes:
            self._launches(params, data, size, loss._code, update, state).run()
        count, columns = len(sizes), modules.job.HYPERS
        scalars = modules.device.read(self.hypers).reshape(-1, columns)
        overflows = scalars[:count, modules.job.OVERFLOW]
        return modules.device.read(self.step_losses)[:count].tolist(), overflows

    def steps(self, batch: Batch, steps: Steps) -> tuple[list[float], bool]:
        def run(params: DeviceArray) -> tuple[list[float], bool]:
            losses, overflows = self._run(params, self._state, batch, steps)
            return _until_end(losses, overflows, steps.limit)

        self._host_is_new = False
        return self.parameters.update(len(steps.sizes), run)

    def gradients(
        self, batch: Batch, samples: int, step: int, seed: int, loss: Loss
    ) -> tuple[float, np.ndarray]:
        if self.gradient is None:
            self.gradient = kernels().device.zeros(self.layout.size)
        device, params = kernels().device, self.parameters.current()
        device.write(self.gradient, 0, np.zeros(self.layout.size, np.float32))
        steps = Steps.of_gradient(samples, step, seed, loss)
        (value,), _ = self._run(params, self.gradient, batch, steps)
        return value, device.read(self.gradient)


def _until_end(
    losses: list[float], overflows: np.ndarray, limit: float
) -> tuple[list[float], bool]:
    """Return the result of `TrainingEngine.steps` from the losses and overflow marks of all queued
    steps. The device has skipped all updates after the step that ends the training.
    """
    highest = np.float32(limit)  # the device compares in float32
    for i, (value, overflow) in enumerate(zip(losses, overflows, strict=True)):
        if overflow or not value <= highest or not np.isfinite(value):
            return losses[: i + 1], bool(overflow)
    return losses, bool(overflows[-1])
