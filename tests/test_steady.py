"""Steps after the first one do not compile, allocate arrays, add parallel regions, or leave
float32.
"""

import platform
import re
import tracemalloc

import numba
import numpy as np
import pytest
from each_optimizer import OPTIMIZERS
from numba.core import types
from numba.core.event import install_recorder
from numba.core.runtime import _nrt_python as counters

import fastsnn as fs
from fastsnn.engine import cpu as backend
from fastsnn.kernels import jit
from fastsnn.kernels.cpu import checks, program, regions, shape

THREADS = pytest.mark.parametrize("threads", [1, 2])
LOSSES = {
    "softmax_cross_entropy": lambda rng, n, k: rng.integers(k, size=n),
    "sigmoid_cross_entropy": lambda rng, n, k: (rng.random((n, k)) > 0.5).astype(np.float32),
    "mse": lambda rng, n, k: rng.normal(size=(n, k)).astype(np.float32),
    "quantile": lambda rng, n, k: rng.normal(size=(n, k)).astype(np.float32),
    "huber": lambda rng, n, k: rng.normal(size=(n, k)).astype(np.float32),
}


def problem(rng, n, features, outputs, loss="softmax_cross_entropy"):
    return rng.normal(size=(n, features)).astype(np.float32), LOSSES[loss](rng, n, outputs)


def entries():
    found = (getattr(m, name) for m in (checks, program, regions) for name in vars(m))
    return {e for e in found if isinstance(e, jit.Entry)}


def use(threads, features, outputs, layers, width, batch, rate, optimizer, loss):
    """Run a step, a partial batch, gradients, and predictions of many rows and of one."""
    rng = np.random.default_rng(1)
    x, y = problem(rng, batch, features, outputs, loss)
    net = fs.mlp(features, outputs, layers=layers, width=width, dropout=rate)
    trainer = fs.Trainer(net, loss=loss, optimizer=optimizer, threads=threads)
    trainer.step(x, y)
    trainer.step(x[: batch // 2 + 1], y[: batch // 2 + 1], sample_weight=np.ones(batch // 2 + 1))
    trainer.gradients(x, y)
    trainer.fit(x, y, epochs=1, batch_size=max(batch // 3, 1))
    net.forward(x, threads=threads)
    net.forward(x[:1], threads=threads)


@THREADS
def test_nothing_compiles_for_another_network(threads):
    backend.load_kernels(threads)
    use(threads, 7, 3, 2, 16, 20, 0.05, fs.SGD(0.01), "mse")
    with install_recorder("numba:compile") as recorder:
        for layers, width, batch, features in ((1, 1, 1, 1), (40, 9, 70, 33), (5, 128, 257, 16)):
            use(threads, features, 2, layers, width, batch, 0.1, fs.SGD(0.01), "mse")
        for rate in (0.0, 0.5, 0.9):
            use(threads, 5, 4, 3, 8, 10, rate, fs.SGD(0.01), "mse")
        for optimizer in OPTIMIZERS.values():
            use(threads, 5, 4, 3, 8, 10, 0.1, optimizer, "mse")
        for loss in LOSSES:
            use(threads, 5, 4, 3, 8, 10, 0.1, fs.SGD(0.01), loss)
    assert not recorder.buffer
    loaded = [entry for entry in entries() if entry.address is not None]
    assert len(loaded) >= 6
    for entry in loaded:
        assert entry.dispatcher.signatures == [entry.signature.args], entry.dispatcher.py_func
        assert not entry.dispatcher._can_compile


def test_other_kinds_of_layers_and_arrays_compile_nothing():
    backend.load_kernels(1)
    net = fs.Network(
        [fs.Dense(9), fs.ReLU(), fs.Dropout(0.1), fs.Dense(5), fs.Tanh(), fs.Dense(3)], input_size=6
    )
    trainer = fs.Trainer(net, threads=1)
    x, y = problem(np.random.default_rng(2), 40, 6, 3)
    with install_recorder("numba:compile") as recorder:
        for x_, y_ in (
            (x, y.astype(np.int8)),
            (np.asfortranarray(x), y.astype(np.uint32)),
            (x[::-1], y[::-1]),
            (x[::2], y[::2]),
        ):
            trainer.step(x_, y_)
            net.forward(x_, threads=1)
        net.activations(x, training=True)
    assert not recorder.buffer


def test_the_recorder_sees_a_compilation():
    with install_recorder("numba:compile") as recorder:
        numba.njit(lambda a: a + 1).compile((types.int64,))
    assert recorder.buffer


# Every array of the batch, of the activations and of the parameters is larger than LARGE.
BATCH, FEATURES, WIDTH, LARGE = 600, 64, 128, 30_000


def steady_trainer(threads, optimizer="adam"):
    x, y = problem(np.random.default_rng(3), BATCH, FEATURES, 10)
    net = fs.mlp(FEATURES, 10, layers=3, width=WIDTH, dropout=0.05)
    return fs.Trainer(net, optimizer=OPTIMIZERS[optimizer], threads=threads), x, y


def peak_of(call):
    """Return the most bytes that Python and NumPy hold during `call`, beyond those before it."""
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        call()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


@THREADS
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_step_makes_no_array(threads, optimizer):
    trainer, x, y = steady_trainer(threads, optimizer)
    weight = np.ones(BATCH, np.float32)
    first = peak_of(lambda: trainer.step(x, y, weight))
    assert first > LARGE  # the measurement includes the buffers of the first step
    assert peak_of(lambda: trainer.step(x, y, weight)) < LARGE // 4
    half = x[: BATCH // 2], y[: BATCH // 2], weight[: BATCH // 2]
    assert peak_of(lambda: trainer.step(*half)) < LARGE // 4


def test_an_epoch_makes_no_array_between_its_steps():
    trainer, x, y = steady_trainer(1)
    trainer.step(x[:100], y[:100])

    class Peaks:
        found = []  # noqa: RUF012

        def on_batch_end(self, trainer, samples, loss):
            if tracemalloc.is_tracing():
                now, peak = tracemalloc.get_traced_memory()
                self.found.append(peak - now)
            else:
                tracemalloc.start()
            tracemalloc.reset_peak()

    try:
        trainer.fit(x, y, epochs=1, batch_size=100, callbacks=[Peaks()])
    finally:
        tracemalloc.stop()
    assert len(Peaks.found) == BATCH // 100 - 1 and max(Peaks.found) < 6000  # x of a batch: 25 600


def arrays_of(entry):
    return sum(isinstance(kind, types.Array) for kind in entry.signature.args)


@pytest.fixture
def allocations():
    """Return the calls of compiled code's allocators so far: of memory, and of array headers."""
    were_counted = counters.memsys_stats_enabled()
    counters.memsys_enable_stats()
    yield lambda: (counters.memsys_get_stats_alloc(), counters.memsys_get_stats_mi_alloc())
    if not were_counted:
        counters.memsys_disable_stats()


@THREADS
def test_kernels_allocate_nothing(threads, allocations):
    """Each array argument costs one header when it enters compiled code; there are no other
    calls.
    """
    trainer, x, y = steady_trainer(threads)
    trainer.step(x, y)
    step = regions.steps_serial if threads == 1 else regions.step_parallel
    headers = arrays_of(checks.check_batch) + arrays_of(step)
    for _ in range(2):
        before = allocations()
        trainer.step(x, y)
        after = allocations()
        assert [a - b for a, b in zip(after, before, strict=True)] == [headers, headers]


def test_the_counters_see_an_allocation(allocations):
    make = numba.njit(lambda n: np.zeros(n).sum())
    make(3)
    before = allocations()
    make(3)
    assert allocations()[0] == before[0] + 1


def compiled_anew(entry, parallel=False):
    """Compile the function with the same flags, because code from the cache cannot be inspected."""
    dispatcher = numba.njit(parallel=parallel, **jit.FLAGS)(entry.dispatcher.py_func)
    dispatcher.compile(entry.signature)
    return dispatcher


def test_a_step_is_two_parallel_regions():
    dispatcher = compiled_anew(regions.step_parallel, parallel=True)
    (signature,) = dispatcher.signatures
    launches = re.findall(
        r"\bcall\b[^\n]*@numba_parallel_for\(", dispatcher.inspect_llvm(signature)
    )
    # Rows, weights, and the directions of normalized weights; networks without them never enter the
    # last: test_parts.py counts.
    assert len(launches) == 3


# Additions, products, roots, extremes of float64, scalar or packed, and conversions to it.
DOUBLE = r"^\s+(v?(?:add|sub|mul|div|sqrt|max|min|fn?m(?:add|sub)\d+)[ps]d|v?cvt[ps]s2[ps]d)\b"
FUSED = r"^\s+vfn?m(?:add|sub)\d+ps\b"


def test_the_forward_pass_stays_in_float32():
    if platform.machine().lower() not in ("x86_64", "amd64"):
        pytest.skip(f"reads instructions of x86, this is {platform.machine()}")
    dispatcher = compiled_anew(program.run_forward)
    assembly = dispatcher.inspect_asm(dispatcher.signatures[0])
    assert re.findall(r"^\s+v?(?:add|mul)ps\b", assembly, re.M)
    assert not re.findall(DOUBLE, assembly, re.M)
    if not {"fma", "avx512f"} & shape.host_features():
        pytest.skip("this processor has no fused multiply-add")
    fused = re.findall(FUSED, assembly, re.M)
    assert len(fused) >= shape.ROWS * shape.VECTORS  # the accumulators of one tile


def test_the_pattern_matches_float64():
    for line in ("vaddpd", "vmulsd", "vfmadd231pd", "vcvtps2pd", "addsd", "vfnmadd213sd"):
        assert re.findall(DOUBLE, f"\t{line}\t%xmm0, %xmm1\n", re.M), line
    for line in ("vaddps", "vmovapd", "vunpcklpd", "vfmadd231ps"):
        assert not re.findall(DOUBLE, f"\t{line}\t%xmm0, %xmm1\n", re.M), line
