"""The CUDA backend: the training engine, on an NVIDIA GPU."""

from __future__ import annotations

import numpy as np

from fastsnn.engine import schedule
from fastsnn.engine.device import Launches, kernels
from fastsnn.engine.device_arrays import Data, features, on_device, weighted_by
from fastsnn.engine.graph import Node
from fastsnn.engine.interface import TrainingEngine as Interface
from fastsnn.engine.parameters import Parameters
from fastsnn.engine.plan import device_plan
from fastsnn.kernels import updates
from fastsnn.kernels.losses import NUMBERS
from fastsnn.kernels.losses import require as require_loss

STEPS_AT_ONCE = 64  # a copy to and from the device for so many steps


class TrainingEngine(Interface):
    """Repeats the launches of a step over buffers on the device."""

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
        self.jobs = device.zeros(STEPS_AT_ONCE * job.JOB, dtype=np.int64)
        self.hypers = device.zeros(STEPS_AT_ONCE * job.HYPERS)
        self.slots = device.zeros(job.SLOTS, dtype=np.int64)
        self.step_losses = device.zeros(STEPS_AT_ONCE)
        self.rows = np.zeros(0, np.int64)
        self.plan = self.batch = None
        self.gradient = None
        self.launches = {}

    @property
    def state(self):
        if not self._host_is_new and self.n_state:
            kernels().device.read(self._state, self._host_state.reshape(-1))
        self._host_is_new = True
        return self._host_state

    def state_changed(self):
        if self.n_state:
            kernels().device.write(self._state, 0, self._host_state.reshape(-1))

    def load(self, report=None):
        return 0.0  # kernels are compiled when the launches of a step are known

    def place(self, data):
        self.launches = {}  # and with them the data before
        return data._replace(x=Data(features(data.x), data, len(data.x)))

    def reserve(self, samples):
        if self.plan is not None and samples <= self.plan.samples:
            return
        device = kernels().device
        self.plan = device_plan(self.nodes, self.layout, samples, training=True)
        self.acts = None  # may be needed for the new one
        self.acts = device.zeros(self.plan.activations)
        self.losses = device.zeros(samples)
        self.rows = np.arange(samples)
        self.batch = None
        self.launches = {}

    def steps_at_once(self, samples, watched):
        return STEPS_AT_ONCE  # also where they are watched: losses come back once for all of them

    def _data(self, batch):
        if isinstance(batch.x, Data):
            batch.x.set_order(batch.index)
            return batch.x
        mine = self.batch
        if mine is None or (mine.weighted, mine.class_weighted) != weighted_by(batch):
            self.batch = Data.with_room(batch, self.plan.samples)
            self.launches = {}
        self.batch.fill(batch)
        return self.batch

    def _launches(self, params, data, samples, loss, update, state):
        """A step for so many samples of the data."""
        key = id(data), samples, loss, update
        if key in self.launches:
            return self.launches[key][1]
        made, run = kernels(), Launches()
        groups, table = made.arguments, self.plan.table
        program = groups.Program(table, self.plan.constants, params)
        queue = groups.Queue(self.jobs, self.slots, self.hypers, self.step_losses)
        batch = groups.Batch(data.index, samples)
        targets = groups.Targets(*data.arrays, int(data.weighted), int(data.class_weighted))
        block = schedule.narrow_block(table, samples, True, made.passes.BLOCKS)
        made.program.run_rows(
            run, block, self.losses, program, self.acts, data.x, batch, targets, queue, loss,
            self.precision,
        )  # fmt: skip
        tiling, size = made.weights.Tiling(table, samples, self.precision), self.layout.size
        made.program.run_weights(
            run, program, tiling, state, self.acts, queue, update, size, samples
        )
        made.program.run_directions(run, program, state, queue, update, size)
        self.launches[key] = data, run  # the data, so that its id stays its own
        return run

    def _run(self, params, batch, first_row, sizes, step, seed, loss, update, hypers, limit, state):
        """Mean losses of all steps, also of those that the device did not make, and whether their
        updates overflowed.
        """
        made = kernels()
        self.reserve(max(sizes))
        data = self._data(batch)
        jobs = np.zeros((len(sizes), made.job.JOB), np.int64)
        scalars = np.zeros((len(sizes), made.job.HYPERS), np.float32)
        numbers = require_loss(loss.code).targets == NUMBERS
        outputs = self.nodes[-1].fan_out if numbers else 1
        for i, (size, hyper) in enumerate(zip(sizes, hypers, strict=True)):
            jobs[i, made.job.FIRST_ROW], first_row = first_row, first_row + size
            jobs[i, made.job.STEP] = (step + i) & 0xFFFFFFFF
            scalars[i, : len(hyper)] = hyper
            scalars[i, made.job.PARAMETER] = loss.parameter
            scalars[i, made.job.SCALE] = 1 / (size * outputs)
        jobs[:, made.job.SEED] = made.dropout.signed64(seed)
        scalars[:, made.job.LIMIT] = limit
        made.device.write(self.jobs, 0, jobs.reshape(-1))
        made.device.write(self.hypers, 0, scalars.reshape(-1))
        made.device.write(self.slots, 0, np.zeros(made.job.SLOTS, np.int64))
        for size in sizes:
            self._launches(params, data, size, loss.code, update, state).run()
        count, columns = len(sizes), made.job.HYPERS
        overflows = made.device.read(self.hypers).reshape(-1, columns)[:count, made.job.OVERFLOW]
        return made.device.read(self.step_losses)[:count].tolist(), overflows

    def _made(self, params, batch, first_row, sizes, step, seed, loss, update, hypers, limit):
        """The steps that the device has made: it makes no update after the one that ends the
        training.
        """
        losses, overflows = self._run(
            params, batch, first_row, sizes, step, seed, loss, update, hypers, limit, self._state
        )
        limit = np.float32(limit)  # as the device compares
        ends = [
            i
            for i, (loss, overflow) in enumerate(zip(losses, overflows, strict=True))
            if overflow or not loss <= limit or not np.isfinite(loss)
        ]
        last = ends[0] if ends else len(losses) - 1
        return losses[: last + 1], bool(overflows[last])

    def steps(self, batch, first_row, sizes, step, seed, loss, update, hypers, limit):
        self._host_is_new = False
        return self.parameters.update(
            len(sizes), self._made, batch, first_row, sizes, step, seed, loss, update, hypers,
            limit,
        )  # fmt: skip

    def gradients(self, batch, samples, step, seed, loss):
        if self.gradient is None:
            self.gradient = kernels().device.zeros(self.layout.size)
        device, params = kernels().device, self.parameters.current()
        device.write(self.gradient, 0, np.zeros(self.layout.size, np.float32))
        (loss,), _ = self._run(
            params, batch, 0, (samples,), step, seed, loss, updates.STORE, ((),), np.inf,
            self.gradient,
        )  # fmt: skip
        return loss, device.read(self.gradient)
