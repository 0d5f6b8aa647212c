"""Threads of a simulated CUDA block: elementwise device code, bank conflicts, address checks and
barriers. Run by test_cuda.py, with NUMBA_ENABLE_CUDASIM=1.
"""

import numpy as np
import oracle
import pytest
from cuda_turns import turns
from numba import cuda as numba_cuda

from fastsnn.kernels.cpu import activation as cpu_activation
from fastsnn.kernels.cuda import activation, dropout, host, real, shape, tile
from fastsnn.kernels.cuda.code import device_code
from fastsnn.kernels.emit import I64, at, load, store


@pytest.fixture(autouse=True)
def in_turns():
    with turns():
        yield


# The generator and elementwise functions.


def test_masks_are_the_oracle_s():
    for seed, step, site, rate in ((0, 0, 0, 0.5), (2**64 - 1, 2**32 - 1, 999, 0.05)):
        mask = dropout.drop_mask(seed, step, site, 0, 21, 7, rate)
        assert np.array_equal(mask, oracle.drop_mask(seed, step, site, 21, 7, rate))
    later = dropout.drop_mask(7, 3, 1, 16, 5, 7, 0.3)
    assert np.array_equal(later, oracle.drop_mask(7, 3, 1, 21, 7, 0.3)[16:])


def test_the_generator():
    counters = np.random.default_rng(0).integers(2**32, size=(40, 4), dtype=np.uint32)
    counters[0], counters[1] = 0, 2**32 - 1
    for seed in (0, 2**64 - 1, 0x0123456789ABCDEF):
        out = np.zeros_like(counters)
        dropout.philox_blocks(out, counters, seed)
        assert np.array_equal(out, oracle.philox4x32_10(counters, (seed & 0xFFFFFFFF, seed >> 32)))


def test_exponentials_are_the_cpu_s():
    rng = np.random.default_rng(1)
    x = np.concatenate([-rng.exponential(20, 300), [0, -0.0, -1e-30, -87.5, -103.9, -1e38]])
    x = x.astype(np.float32)
    x = np.append(x, np.float32([-np.inf, np.nan]))
    for name in ("exponential", "exponential_minus_one"):
        results = np.empty_like(x), np.empty_like(x)
        for module, out in zip((cpu_activation, activation), results, strict=True):
            getattr(module, name)(out, x)
        assert np.array_equal(*(r.view(np.uint32)[:-1] for r in results))
        assert np.isnan(results[1][-1])


def test_operations_with_nan():
    nan, inf = np.float32("nan"), np.float32("inf")
    for a in (nan, -nan):
        assert not real.is_number(a) and not real.is_finite(a)
        for b in (nan, np.float32(1), -inf):
            assert np.isnan(real.maximum(a, b)) and np.isnan(real.maximum(b, a))
            assert not real.greater(a, b) and not real.greater(b, a)
    for a in (inf, -inf):
        assert real.is_number(a) and not real.is_finite(a)
    for a in (0.0, -0.0, 1e-45, -3e38):
        assert real.is_number(np.float32(a)) and real.is_finite(np.float32(a))
        assert real.maximum(np.float32(a), -inf) == np.float32(a)
    assert real.greater(inf, np.float32(3e38)) and not real.greater(np.float32(1), np.float32(1))


# Cooperation within a block.


def bank_accesses(places, width):
    """Return (accesses of the most used bank, the fewest possible) for vectors of `width` words."""
    distinct = sorted(set(places))
    accesses = np.zeros(32, int)
    for place in distinct:
        accesses[(place + np.arange(width)) % 32] += 1
    return accesses.max(), -(-len(distinct) * width // 32)


@pytest.mark.parametrize("on_device", shape.ON_DEVICE, ids=lambda t: t.name)
def test_no_bank_conflicts(on_device):
    """Operands are stored to shared memory, K-major or not, and loaded without bank conflicts.

    A warp moves 128 bytes at a time: vectors of 4 by 8 threads.
    """
    t = on_device
    for k_major in (False, True):
        _, _, keep, floats = tile._copy_code(t, False, k_major)
        destinations = np.full((t.threads, floats), -1)
        for thread in range(t.threads):
            shared = np.full(t.buffer, -1, np.float32)
            keep(shared, 0, np.arange(floats, dtype=np.float32), thread)
            (places,) = np.nonzero(shared >= 0)
            destinations[thread, shared[places].astype(int)] = places
        assert (destinations >= 0).all() and len(np.unique(destinations)) == destinations.size
        width = 1 if k_major else shape.QUAD
        group = 32 // width
        for first in range(0, t.threads, group):
            for j in range(0, floats, width):
                found, possible = bank_accesses(destinations[first : first + group, j], width)
                assert found == possible
    row_of, column_of = tile.thread_origin(t)
    for of, width in ((row_of, shape.QUAD), (column_of, t.vector_width)):
        places = [of(thread) for thread in range(t.threads)]
        for first in range(0, t.threads, 32 // width):
            found, possible = bank_accesses(places[first : first + 32 // width], width)
            assert found == possible


def test_an_address_out_of_bounds_is_an_error():
    @device_code
    def copy_one(builder, out, out_at, x, x_at):
        store(builder, load(builder, at(builder, x, x_at), 1), at(builder, out, out_at))

    @device_code
    def copy_two(builder, out, x, x_at):
        values = tile.load_vector(builder, x, builder.add(x_at, I64(0)), 2)
        tile.store_vector(builder, values, out, I64(0))

    x, out = np.arange(4, dtype=np.float32), np.zeros(4, np.float32)
    copy_one(out, 3, x, 3)
    copy_two(out, x, 2)
    assert out.tolist() == [2, 3, 0, 3]
    for wrong in ((4, 0), (0, 4), (-1, 0), (0, -1)):
        with pytest.raises(IndexError, match="copy_one"):
            copy_one(out, wrong[0], x, wrong[1])
    for unaligned in (1, 3):
        with pytest.raises(IndexError, match="copy_two"):
            copy_two(out, x, unaligned)
    assert host._out_of_bounds.value == 0


def test_a_missing_barrier_is_detected():
    @numba_cuda.jit
    def reversed_without(out):
        shared = numba_cuda.shared.array(8, tile.FLOAT)
        shared[numba_cuda.threadIdx.x] = numba_cuda.threadIdx.x
        out[numba_cuda.threadIdx.x] = shared[7 - numba_cuda.threadIdx.x]

    @numba_cuda.jit
    def reversed_half(out):
        if numba_cuda.threadIdx.x < 4:
            numba_cuda.syncthreads()

    results = []
    for backwards in (False, True):
        with turns(backwards):
            out = np.full(8, -1, np.float32)
            reversed_without[1, 8](out)
            results.append(out)
            with pytest.raises(AssertionError, match="some threads of a block wait"):
                reversed_half[1, 8](out)
    assert not np.array_equal(*results)
