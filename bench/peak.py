"""The machine's own float32 peak: independent fused multiply-adds held in registers."""

import statistics
import time

import numpy as np
from llvmlite import ir
from numba import njit, prange

from fastsnn.kernels.cpu.code import fold, vector_code
from fastsnn.kernels.cpu.shape import LANES
from fastsnn.kernels.emit import Value, fma, load, splat, store

CHAINS = 12
ROUNDS = 500_000


@vector_code
def _spin(builder, out, t, rounds):
    start = load(builder, builder.gep(out, [t]), 1)
    x, y = splat(builder, start, LANES), splat(builder, start * 0.5, LANES)
    zero = ir.Constant(x.type, [0.0] * LANES)
    sums = fold(
        builder, rounds, [zero] * CHAINS, lambda i, s: [fma(x, y, Value(builder, v)).ir for v in s]
    )
    total = Value(builder, sums[0])
    for s in sums[1:]:
        total = total + Value(builder, s)
    first = Value(builder, builder.extract_element(total.ir, ir.IntType(32)(0)))
    store(builder, first, builder.gep(out, [t]))


@njit(parallel=True)
def _run(out, rounds):
    for t in prange(out.size):
        _spin(out, t, rounds)


def peak_gflops(threads: int, repeats: int = 5) -> float:
    """Median GFLOP/s of `threads` threads."""
    out = np.full(threads, 1e-3, np.float32)
    _run(out, 1)
    times = []
    for _ in range(repeats):
        out[:] = 1e-3
        start = time.perf_counter()
        _run(out, ROUNDS)
        times.append(time.perf_counter() - start)
    return 2 * LANES * CHAINS * ROUNDS * threads / statistics.median(times) / 1e9
