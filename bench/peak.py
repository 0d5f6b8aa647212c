"""The machine's peak rates: arithmetic in registers, and reading memory."""

import statistics
import time

import numba
import numpy as np
from llvmlite import ir
from numba import prange

from fastsnn.engine.layout import aligned_zeros

from ..kernels.cpu.code import fold, vector_code
from ..kernels.cpu.shape import LANES
from ..kernels.emit import I64, Value, at, fma, load, splat, store

CHAINS = 12  # independent sums: more than the latency of a multiply-add in cycles, times units
ROUNDS = 500_000
SHORTEST = 0.02  # seconds of one measurement


def _total(builder, sums):
    total = Value(builder, sums[0])
    for s in sums[1:]:
        total = total + Value(builder, s)
    return Value(builder, builder.extract_element(total.ir, ir.IntType(32)(0)))


def _zeros(type_):
    return [ir.Constant(type_, [0.0] * LANES)] * CHAINS


@vector_code
def _multiply_add(builder, out, t, rounds):
    start = load(builder, at(builder, out, t), 1)
    x, y = splat(builder, start, LANES), splat(builder, start * 0.5, LANES)
    sums = fold(
        builder, rounds, _zeros(x.type), lambda i, s: [fma(x, y, Value(builder, v)).ir for v in s]
    )
    store(builder, _total(builder, sums), at(builder, out, t))


@vector_code
def _read(builder, out, t, x, first, rounds):
    source = at(builder, x, first)
    type_ = ir.VectorType(ir.FloatType(), LANES)

    def line(i, sums):
        here = at(builder, source, builder.mul(i, I64(CHAINS * LANES)))
        return [
            (Value(builder, s) + load(builder, at(builder, here, j * LANES), LANES)).ir
            for j, s in enumerate(sums)
        ]

    sums = fold(builder, rounds, _zeros(type_), line)
    store(builder, _total(builder, sums), at(builder, out, t))


def _multiply_adds(out, rounds):
    for t in prange(out.size):
        _multiply_add(out, t, rounds)


def _reads(out, x, rounds, repeats):
    for t in prange(out.size):
        for _ in range(repeats):
            _read(out, t, x, t * (x.size // out.size), rounds)


def _compiled(function, threads):
    """Compile the function, for one thread without a threading layer."""
    if threads > 1:
        numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))
    return numba.njit(function, parallel=threads > 1)


def peak_gflops(threads: int, repeats: int = 5) -> float:
    """Return GFLOP/s of fused multiply-adds on `threads` threads: the best of `repeats`."""
    out = np.full(threads, 1e-3, np.float32)
    run = _compiled(_multiply_adds, threads)
    run(out, 1)
    times = []
    for _ in range(repeats):
        out[:] = 1e-3
        start = time.perf_counter()
        run(out, ROUNDS)
        times.append(time.perf_counter() - start)
    return 2 * LANES * CHAINS * ROUNDS * threads / min(times) / 1e9


def read_gb_s(nbytes: int, threads: int, repeats: int = 7) -> float:
    """Return the median GB/s (1e9 bytes) of repeated reads of `nbytes` bytes.

    They come from the smallest cache that holds them, or from memory.
    """
    step = CHAINS * LANES
    rounds = max(1, nbytes // 4 // threads // step)
    x = aligned_zeros(rounds * step * threads)
    x[:] = 1  # untouched memory is mapped to a single page of zeros
    out = np.zeros(threads, np.float32)
    run = _compiled(_reads, threads)
    run(out, x, rounds, 1)
    start = time.perf_counter()
    run(out, x, rounds, 1)
    again = max(1, int(SHORTEST / max(time.perf_counter() - start, 1e-6)))
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run(out, x, rounds, again)
        times.append(time.perf_counter() - start)
    return x.nbytes * again / statistics.median(times) / 1e9
