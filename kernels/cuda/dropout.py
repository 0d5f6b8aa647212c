"""Dropout masks, by the counter layout of `philox.py`: one call of the generator gives the numbers
of a unit for a group of eight samples. Kernels use `dropped`; the two kernels here are for tests.

    philox_blocks   a thread per counter, (count, 4) uint32
    drop_mask       a thread per (group, unit); mask: uint32, 1 or 0, rows [sample][unit]
    launch          grid ceil(threads / BLOCK_SIZE), BLOCK_SIZE threads
"""

import numpy as np
from numba import cuda

from ..emit import I32, I64, Value, at, load, store
from ..philox import SAMPLES_PER_BLOCK, drop_threshold, philox4x32_10
from . import device
from .code import INT, WORDS, device_code, kernel
from .shape import BLOCK_SIZE, ceil_div

NUMBER = 0xFFFF  # mask of one of the eight 16-bit numbers of a call


def dropped(block, unit, site, step, seed, threshold):
    """Yield the condition that drops a unit for each of eight samples. All are 64-bit Values."""
    words = philox4x32_10((block, unit, site, step), (seed, seed.shift_right(32)))
    for word in words:
        for shift in (0, 16):
            yield (word.shift_right(shift) & NUMBER) < threshold


def signed64(seed):
    """Return the 64 bits of an unsigned seed as a signed integer, the type that kernels take."""
    return seed - (1 << 64) if seed >= 1 << 63 else seed


@device_code
def _block(builder, out, counters, offset, seed):
    start = [builder.add(offset, I64(j)) for j in range(4)]
    words = [load(builder, at(builder, counters, s, I32), 1, I32) for s in start]
    wide = [Value(builder, builder.zext(word.ir, I64)) for word in words]
    key = Value(builder, seed)
    for s, word in zip(start, philox4x32_10(wide, (key, key.shift_right(32))), strict=True):
        store(builder, Value(builder, builder.trunc(word.ir, I32)), at(builder, out, s, I32), I32)


@device_code
def _mask(builder, mask, first, stride, block, unit, site, step, seed, threshold):
    operands = (Value(builder, v) for v in (block, unit, site, step, seed, threshold))
    for s, condition in enumerate(dropped(*operands)):
        offset = builder.add(first, builder.mul(stride, I64(s)))
        word = Value(builder, builder.zext(condition.ir, I32))
        store(builder, word, at(builder, mask, offset, I32), I32)


@kernel("philox_blocks", BLOCK_SIZE, WORDS, WORDS, INT, INT)
def _philox_blocks(out, counters, count, seed):
    i = cuda.grid(1)
    if i < count:
        _block(out, counters, 4 * i, seed)


@kernel("drop_mask", BLOCK_SIZE, WORDS, *[INT] * 6, INT)
def _drop_mask(mask, first_block, units, count, site, step, seed, threshold):
    i = cuda.grid(1)
    if i < count:
        block = i // units
        unit = i - block * units
        _mask(
            mask, block * 8 * units + unit, units, first_block + block, unit, site, step, seed,
            threshold,
        )  # fmt: skip


def philox_blocks(out, counters, seed):
    """out[i] = the four words for counters[i]; out, counters (n, 4) uint32, seed: 64 bits."""
    count = len(counters)
    if count:
        out_device = device.zeros(4 * count, dtype=np.uint32)
        operands = device.to_device(counters.reshape(-1))
        _philox_blocks(ceil_div(count, BLOCK_SIZE), out_device, operands, count, signed64(seed))
        out.reshape(-1)[:] = device.read(out_device)


def drop_mask(seed, step, site, first_sample, n_samples, n_units, rate):
    """Return the mask of a forward pass, (n_samples, n_units) bool. first_sample: a multiple of
    8.
    """
    blocks = ceil_div(n_samples, SAMPLES_PER_BLOCK)
    count = blocks * n_units
    mask = device.zeros(count * SAMPLES_PER_BLOCK, dtype=np.uint32)
    _drop_mask(
        ceil_div(count, BLOCK_SIZE), mask, first_sample // SAMPLES_PER_BLOCK, n_units, count, site,
        step, signed64(seed), drop_threshold(rate),
    )  # fmt: skip
    return device.read(mask).reshape(-1, n_units)[:n_samples].astype(bool)
