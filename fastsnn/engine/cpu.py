"""The CPU backend: buffers, and calls of the kernels. The only file of the package that runs
them.
"""

import logging
import threading

import numpy as np

from fastsnn.engine import threads as processors
from fastsnn.engine.pace import Pace
from fastsnn.engine.plan import aligned_zeros, plan, round_up
from fastsnn.kernels import jit
from fastsnn.kernels.cpu import checks, directions, optimizer, program, regions, single
from fastsnn.kernels.cpu.dropout import signed64
from fastsnn.kernels.cpu.shape import PANEL
from fastsnn.kernels.losses import require as require_loss

log = logging.getLogger("fastsnn")

BACKENDS = ("cpu", "cuda")
PRECISIONS = ("float32", "tf32", "bf16")
NOT_FINITE, OUT_OF_RANGE = checks.NOT_FINITE, checks.OUT_OF_RANGE
NO_INTEGERS = np.zeros(0, np.int64)
NO_NUMBERS = np.zeros(0, np.float32)
NO_TARGETS = np.zeros((0, 1), np.float32)
PREDICTION = (program.run_forward, directions.derive_weights)
TRAINING = (
    *PREDICTION, checks.check_batch, program.run_backward, program.run_weights,
    program.run_directions,
)  # fmt: skip
FEW = 4  # rows that are predicted one by one
STEPS_AT_ONCE = 64  # most of them
FLOPS_AT_ONCE = 4e9  # and of their products: about a twentieth of a second


def load_kernels(threads, training=True, report=log.warning):
    """Compile what is needed, or take it from the cache; returns the seconds."""
    also = *_entries(threads, True), *_entries(1, False), single.run_single
    return jit.load(*_entries(threads, training), also=also, report=report)


def compiled(threads) -> bool:
    """Whether training with so many threads finds all its kernels in the cache."""
    return all(entry.on_disk() for entry in _entries(threads, training=True))


def _entries(threads, training):
    serial = threads == 1
    entries = [regions.predict_serial if serial else regions.predict_parallel]
    if training:
        entries.append(regions.steps_serial if serial else regions.step_parallel)
    return (*(TRAINING if training else PREDICTION), *entries)


def check_batch(x, labels, n_classes):
    """GOOD (0), NOT_FINITE or OUT_OF_RANGE."""
    return checks.check_batch(x.view(np.int32), labels, n_classes)


def derive_weights(network):
    """Compute what is computed from other parameters, if these have changed; first bring what a
    device has newer.
    """
    network.buffer.fetch()

    def derive(flat):
        table = plan(network.nodes, network.layout, 1, training=False).table
        directions.derive_weights(table, flat, np.zeros(PANEL, np.float32))

    if network.layout.derived:
        network.buffer.derive(derive)


class TrainingEngine:
    """Buffers for the steps of one trainer; they grow with the largest batch seen, and with nothing
    else.
    """

    def __init__(self, network, threads, n_state):
        self.network, self.threads = network, threads
        self.normalizes_weights = bool(network.layout.derived)
        # The gradients of normalized weights pass through the first array of the state.
        self._state = aligned_zeros(max(n_state, int(self.normalizes_weights)), network.layout.size)
        self.state = self._state[:n_state]
        self.hypers = np.zeros((STEPS_AT_ONCE, optimizer.HYPER), np.float32)
        self.step_losses = np.zeros(STEPS_AT_ONCE)
        self.sizes = np.zeros(STEPS_AT_ONCE, np.int64)
        self.job = np.zeros(regions.JOB, np.int64)
        self.rows = NO_INTEGERS
        self.plan = None
        self.pace = Pace()

    def reserve(self, samples):
        if self.plan is not None and samples <= self.plan.panels * PANEL:
            return
        panels = round_up(samples, PANEL) // PANEL
        net = self.network
        self.plan = plan(net.nodes, net.layout, panels, training=True)
        self.shares = {}  # what the plan estimated
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

    def _set_job(self, first_row, samples, step, seed, loss, update):
        require_loss(loss.code)
        self.parameter = np.float32(loss.parameter)
        job = self.job
        job[regions.FIRST_ROW], job[regions.SAMPLES] = first_row, samples
        job[regions.STEP], job[regions.SEED] = step & 0xFFFFFFFF, signed64(seed)
        job[regions.LOSS], job[regions.UPDATE] = loss.code, update
        job[regions.THREADS] = threads = processors.resolve(self.threads)
        job[regions.SPLIT] = self._shares_panels(samples, threads)

    def _shares_panels(self, samples, threads):
        key = samples, threads
        if key not in self.shares:
            self.shares[key] = self.plan.shares_panels(samples, threads)
        return self.shares[key]

    def _run(self, state, sizes, limit, batch):
        """Losses of the steps that were made, at least one."""
        buffers = (
            self.job, self.losses, self.plan.table, self.plan.constants, self.network.buffer.flat,
            state, self.acts, self.bits, self.work,
        )  # fmt: skip
        count = len(sizes)
        self.sizes[:count] = sizes
        derive_weights(self.network)
        threads = int(self.job[regions.THREADS])
        if threads == 1:
            done = regions.steps_serial(
                self.step_losses[:count], self.sizes[:count], self.hypers[:count], limit, *buffers,
                *batch, self.parameter,
            )  # fmt: skip
            return self.step_losses[:done].tolist()
        assert count == 1, "one parallel step at a time"
        with self.pace.region(threads, round_up(int(sizes[0]), PANEL)):
            return [regions.step_parallel(*buffers, *batch, self.parameter, self.hypers[0])]

    def load(self, report=log.warning):
        """Compile what is needed, or take it from the cache; returns the seconds."""
        return load_kernels(self.threads, report=report)

    def place(self, x, *rest):
        """A data set as batches are taken from it."""
        return x, *rest

    def state_changed(self):
        """Somebody has written into the state."""

    def steps_at_once(self, samples, watched):
        """How many steps of so many rows one call should make: one where threads work together or
        steps take long, or where somebody wants to know of each; several where calls would cost as
        much.
        """
        if watched or processors.resolve(self.threads) > 1:
            return 1
        weights = self.network.layout.size
        return int(min(STEPS_AT_ONCE, max(1, FLOPS_AT_ONCE // (6 * weights * samples))))

    def steps(self, batch, first_row, sizes, step, seed, loss, update, hypers, limit):
        """Updates by the next batches of `sizes` rows; returns (mean loss before each of them,
        whether the last update left float32: such parameters keep their values). Stops after
        a loss that is not finite or above `limit`, and after such an update. `batch`: x, index,
        labels, targets, sample and class weights. `loss`: a `fastsnn.losses.Loss`.
        """
        most = max(sizes)
        self.reserve(most)
        self._set_job(first_row, most, step, seed, loss, update)
        for into, hyper in zip(self.hypers, hypers, strict=False):
            into[: len(hyper)] = hyper
        before = self.network.buffer.version
        try:
            losses = self._run(self._state, sizes, limit, batch)
        except BaseException:  # nobody knows how far it came
            self.network.buffer.updated(len(sizes))
            raise
        self.network.buffer.updated(len(losses), since=before)
        return losses, bool(self.job[regions.OVERFLOW])

    def gradients(self, batch, samples, step, seed, loss):
        """(mean loss, flat gradient) of what a step would do; changes no parameter and no state."""
        self.reserve(samples)
        self._set_job(0, samples, step, seed, loss, optimizer.STORE)
        gradient = aligned_zeros(1, self.network.layout.size)
        (loss,) = self._run(gradient, (samples,), np.inf, batch)
        return loss, gradient[0]


def require(backend):
    """Raises RuntimeError, in one line, where this backend cannot be used."""
    if backend == "cuda":
        from fastsnn.engine import device

        device.kernels()


def training_engine(backend, network, threads, n_state, precision):
    """The engine of a trainer. Raises RuntimeError where the backend cannot be used."""
    if backend == "cuda":
        from fastsnn.engine import cuda

        return cuda.TrainingEngine(network, n_state, precision)
    return TrainingEngine(network, threads, n_state)


class SingleRows:
    """Predictions of at most FEW rows for one version of a network's parameters; for any number of
    threads of the user's at once. Of networks of dense layers alone.

    The time of such a call is that of reading the weights, and of the call itself.
    """

    def __init__(self, network):
        jit.load(single.run_single)
        nodes = network.nodes
        network.buffer.fetch()
        self.version = network.buffer.version
        planned = plan(nodes, network.layout, 1, training=False)
        self.table, self.constants = planned.table, planned.constants
        sizes = [single.packed_floats(node.fan_in, node.fan_out) for node in nodes]
        self.packed, at = aligned_zeros(sum(sizes)), 0
        tensors = network.buffer.tensors
        for node, size in zip(nodes, sizes, strict=True):
            single.pack(self.packed[at : at + size], tensors[node.weight], tensors[node.bias])
            at += size
        self.width = round_up(max(node.fan_out for node in nodes), single.UNITS)
        self.works = threading.local()

    def run(self, out, x):
        work = getattr(self.works, "work", None)
        if work is None:
            work = self.works.work = aligned_zeros(FEW * 2 * self.width)
        single.run_single(out, self.table, self.constants, self.packed, work, x, self.width)


class PredictionEngine:
    """Buffers for the predictions of one thread of the user's."""

    def __init__(self, network):
        self.network = network
        self.threads = 0
        self.pace = Pace(first=10, longest=0.1)

    def reserve(self, threads):
        if threads <= self.threads:
            return
        load_kernels(threads, training=False)
        net = self.network
        self.plan = plan(net.nodes, net.layout, regions.PREDICT_PANELS, training=False)
        self.acts = aligned_zeros(threads, round_up(self.plan.activations, 16))
        self.work = aligned_zeros(threads, self.plan.work)
        self.bits = np.zeros((regions.PREDICT_PANELS, 1), np.uint32)
        self.threads = threads

    def run(self, out, x, threads):
        self.reserve(threads)
        derive_weights(self.network)
        arguments = (
            program.run_forward.address, threads, out, self.plan.table, self.plan.constants,
            self.network.buffer.flat, self.acts, self.bits, self.work, x,
        )  # fmt: skip
        if threads == 1 or len(x) <= PANEL:
            regions.predict_serial(*arguments)
        else:
            with self.pace.region(threads, round_up(len(x), PANEL)):
                regions.predict_parallel(*arguments)


def activations(network, x, training, seed, step, chunk=8 * PANEL):
    """Outputs of all nodes but the last for rows of x, as one sample range; a list of (n,
    fan_out).
    """
    load_kernels(1, training=False)
    derive_weights(network)
    if training and any(node.couples_rows for node in network.nodes):
        chunk = round_up(len(x), PANEL)
    run = plan(network.nodes, network.layout, chunk // PANEL, training=True)
    acts, work = aligned_zeros(run.activations), aligned_zeros(run.work)
    bits = np.zeros((run.panels, run.mask_columns), np.uint32)
    hidden = [np.empty((len(x), node.fan_out), np.float32) for node in network.nodes[:-1]]
    for first in range(0, len(x), chunk):
        samples = min(chunk, len(x) - first)
        program.run_forward(
            run.table, run.constants, network.buffer.flat, acts, bits, work, x, NO_INTEGERS, first,
            samples, 0, len(run.table) + 1, 0, 0, 1, first, step & 0xFFFFFFFF, signed64(seed),
            int(training),
        )  # fmt: skip
        for row, out in enumerate(hidden):
            out[first : first + samples] = run.hidden(row, acts, samples)
    return hidden
