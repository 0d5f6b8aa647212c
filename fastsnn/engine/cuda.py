"""The CUDA backend: the engines that training and prediction run on, on an NVIDIA GPU."""

from __future__ import annotations

import numpy as np

from fastsnn.engine.device import Data, Launches, features, kernels, room
from fastsnn.engine.plan import device_plan
from fastsnn.kernels import codes
from fastsnn.kernels.losses import LABELS, NUMBERS
from fastsnn.kernels.losses import require as require_loss

STEPS_AT_ONCE = 64  # a copy to and from the device for so many steps
CHUNK = 4096  # rows that are predicted at a time


class TrainingEngine:
    """Buffers for the steps of one trainer on the device; as `backend.TrainingEngine`."""

    def __init__(self, network, n_state, precision="float32"):
        device, job = kernels().device, kernels().job
        kernels().tensor.require(precision)
        self.network, self.precision = network, precision
        self.parameters = network.on_device()
        self.n_state = n_state
        self.normalizes_weights = bool(network.layout.derived)
        size = network.layout.size
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
        """The optimizer's state on the host; whoever writes into it calls `state_changed`."""
        if not self._host_is_new and self.n_state:
            kernels().device.read(self._state, self._host_state.reshape(-1))
        self._host_is_new = True
        return self._host_state

    def state_changed(self):
        if self.n_state:
            kernels().device.write(self._state, 0, self._host_state.reshape(-1))

    def load(self, report=None):
        """Kernels are compiled when the launches of a step are known."""
        return 0.0

    def place(self, x, *rest):
        """A data set, put on the device once for many steps; what batches are made with."""
        self.launches = {}  # and with them the data before
        return Data(features(x), rest, len(x)), *rest

    def reserve(self, samples):
        if self.plan is not None and samples <= self.plan.samples:
            return
        device, net = kernels().device, self.network
        self.plan = device_plan(net.nodes, net.layout, samples, training=True)
        self.acts = None  # may be needed for the new one
        self.acts = device.zeros(self.plan.activations)
        self.losses = device.zeros(samples)
        self.rows = np.arange(samples)
        self.batch = None
        self.launches = {}

    def steps_at_once(self, samples, watched):
        """How many steps one call should make: losses come back once for all of them. `watched`
        batches are told of then, too.
        """
        return STEPS_AT_ONCE

    def _data(self, batch):
        x, order, *rest = batch
        if isinstance(x, Data):
            x.set_order(order)
            return x
        kinds = [len(array) > 0 for array in rest[2:]]
        if self.batch is None or self.batch.kinds != kinds:
            rows, places = self.plan.samples, kernels().device.zeros
            empty = [room(array, rows) for array in rest[:-1]]
            self.batch = Data(places(rows * x.shape[1]), [*empty, rest[-1]], rows)
            self.launches = {}
        self.batch.fill(x, order, rest)
        return self.batch

    def _launches(self, data, samples, loss, update, state):
        """A step for so many samples of the data."""
        key = id(data), samples, loss, update
        if key in self.launches:
            return self.launches[key][1]
        made, run = kernels(), Launches()
        table, constants = self.plan.table, self.plan.constants
        params, size = self.parameters.array, self.network.layout.size
        flags = data.weighted, data.class_weighted
        scaled = require_loss(loss).targets != LABELS and not any(flags)
        made.program.run_rows(
            run, self.losses, self.step_losses, table, constants, params, self.acts, data.x,
            data.index, *data.arrays, self.jobs, self.slots, self.hypers, samples, loss, *flags,
            scaled, self.precision,
        )  # fmt: skip
        tiling = made.weights.Tiling(table, samples, self.precision)
        made.program.run_weights(
            run, table, constants, tiling, params, state, self.acts, self.hypers, self.slots,
            update, size, samples,
        )  # fmt: skip
        made.program.run_directions(
            run, table, params, state, self.hypers, self.slots, update, size
        )
        self.launches[key] = data, run  # the data, so that its id stays its own
        return run

    def _run(self, batch, first_row, sizes, step, seed, loss, update, hypers, limit, state):
        made = kernels()
        self.reserve(max(sizes))
        data = self._data(batch)
        self.parameters.ready()
        jobs = np.zeros((len(sizes), made.job.JOB), np.int64)
        scalars = np.zeros((len(sizes), made.job.HYPERS), np.float32)
        numbers = require_loss(loss.code).targets == NUMBERS
        outputs = self.network.output_size if numbers else 1
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
            self._launches(data, size, loss.code, update, state).run()
        count, columns = len(sizes), made.job.HYPERS
        overflows = made.device.read(self.hypers).reshape(-1, columns)[:count, made.job.OVERFLOW]
        return made.device.read(self.step_losses)[:count].tolist(), overflows

    def steps(self, batch, first_row, sizes, step, seed, loss, update, hypers, limit):
        """See `backend.TrainingEngine.steps`. The device makes no update after the step that ends
        the training.
        """
        self._host_is_new = False
        try:
            losses, overflows = self._run(
                batch, first_row, sizes, step, seed, loss, update, hypers, limit, self._state
            )
        except BaseException:  # nobody knows how far it came
            self.parameters.changed(len(sizes))
            raise
        limit = np.float32(limit)  # as the device compares
        ends = [
            i
            for i, (loss, overflow) in enumerate(zip(losses, overflows, strict=True))
            if overflow or not loss <= limit or not np.isfinite(loss)
        ]
        last = ends[0] if ends else len(losses) - 1
        self.parameters.changed(last + 1)
        return losses[: last + 1], bool(overflows[last])

    def gradients(self, batch, samples, step, seed, loss):
        """(mean loss, flat gradient) of what a step would do; changes no parameter and no state."""
        if self.gradient is None:
            self.gradient = kernels().device.zeros(self.network.layout.size)
        made = kernels().device
        made.write(self.gradient, 0, np.zeros(self.network.layout.size, np.float32))
        (loss,), _ = self._run(
            batch, 0, (samples,), step, seed, loss, codes.STORE, ((),), np.inf, self.gradient
        )
        return loss, made.read(self.gradient)


class PredictionEngine:
    """Buffers for forward passes on the device.

    training: with dropout. keep: all outputs, not only the last ones.
    """

    def __init__(self, network, training=False, keep=False):
        self.network, self.training, self.keep = network, training, keep
        self.parameters = network.on_device()
        self.samples = 0

    def reserve(self, samples):
        if samples <= self.samples:
            return
        device, job, net = kernels().device, kernels().job, self.network
        self.plan = device_plan(net.nodes, net.layout, samples, self.keep)
        self.acts = device.zeros(self.plan.activations)
        self.x = device.zeros(samples * net.input_size)
        self.index = device.to_device(np.arange(samples))
        self.jobs = device.zeros(job.JOB, dtype=np.int64)
        self.slots = device.zeros(job.SLOTS, dtype=np.int64)
        self.samples, self.launches = samples, {}

    def _launch(self, given, samples):
        """A pass for so many rows of `given`: of the engine itself, or of `Rows`."""
        key = id(given), samples
        if key not in self.launches:
            if len(self.launches) > 8:  # sizes that come once
                self.launches = {}
            run = Launches()
            kernels().program.run_outputs(
                run, self.plan.table, self.plan.constants, self.parameters.array, self.acts,
                given.x, given.index, self.jobs, self.slots, samples, self.training,
            )  # fmt: skip
            # Rows are kept, so that their id stays their own.
            self.launches[key] = None if given is self else given, run
        self.launches[key][1].run()

    def _pass(self, x):
        kernels().device.write(self.x, 0, x.reshape(-1))
        self._launch(self, len(x))

    def _outputs(self, row, samples):
        start, stride, units = self.plan.outputs(row)
        rows = kernels().device.read(self.acts[start : start + samples * stride])
        return rows.reshape(samples, stride)[:, :units]

    def run(self, out, x):
        """out[i] = raw outputs for x[i]."""
        self.reserve(min(len(x), CHUNK))
        self.parameters.ready()
        for first in range(0, len(x), self.samples):
            rows = x[first : first + self.samples]
            self._pass(rows)
            out[first : first + len(rows)] = self._outputs(len(self.plan.table) - 1, len(rows))

    def run_rows(self, out, rows):
        """The same for `Rows`."""
        made = kernels()
        self.reserve(min(len(rows), CHUNK))
        self.parameters.ready()
        job = np.zeros(made.job.JOB, np.int64)
        for first in range(0, len(rows), self.samples):
            job[made.job.FIRST_ROW] = first
            made.device.write(self.jobs, 0, job)
            count = min(self.samples, len(rows) - first)
            self._launch(rows, count)
            out[first : first + count] = self._outputs(len(self.plan.table) - 1, count)
        made.device.write(self.jobs, 0, np.zeros_like(job))  # others begin with the first row

    def hidden(self, x, seed, step):
        """Outputs of all nodes but the last for rows of x, as one sample range."""
        made = kernels()
        coupled = self.training and self.network.couples_rows
        self.reserve(len(x) if coupled else min(len(x), CHUNK))
        self.parameters.ready()
        hidden = [np.empty((len(x), node.fan_out), np.float32) for node in self.network.nodes[:-1]]
        for first in range(0, len(x), self.samples):
            rows = x[first : first + self.samples]
            job = np.zeros(made.job.JOB, np.int64)
            job[made.job.BLOCK], job[made.job.STEP] = first // 8, step & 0xFFFFFFFF
            job[made.job.SEED] = made.dropout.signed64(seed)
            made.device.write(self.jobs, 0, job)
            self._pass(rows)
            for row, out in enumerate(hidden):
                out[first : first + len(rows)] = self._outputs(row, len(rows))
        return hidden


def activations(network, x, training, seed, step):
    """As `backend.activations`."""
    return PredictionEngine(network, training, keep=True).hidden(x, seed, step)
