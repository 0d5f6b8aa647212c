"""Dropout masks of one panel as bits, from Philox4x32-10 (`kernels/philox.py`).

    bits     [panel][unit] uint32; bit s set: sample s of the panel drops the unit
    block    eight consecutive samples, one generator call per unit; a panel has BLOCKS of them
    vector   CALLS generator calls side by side: UNITS units of one panel

A mask depends on (seed, step, site, unit, sample) alone; the calling thread owns the words that it
writes.
"""

import numpy as np
from llvmlite import ir

from .. import jit
from ..emit import I16, I32, I64, Value, at, load, shuffle, splat, store
from ..philox import LOW_WORD, SAMPLES_PER_BLOCK, drop_threshold, philox4x32_10
from .code import loop, vector_code
from .shape import LANES, PANEL

CALLS = LANES // 2  # generator calls per vector: 64 bits each
BLOCKS = PANEL // SAMPLES_PER_BLOCK  # generator calls per unit
UNITS = CALLS // BLOCKS  # units per vector: 2 on every host
UNROLL = 2  # independent vectors in flight, because the rounds form one dependency chain
UNITS_AT_ONCE = UNITS * UNROLL

WORDS = ir.VectorType(I64, CALLS)


def _lanes(builder, numbers):
    return Value(builder, ir.Constant(WORDS, list(numbers)))


def _halves_in_order(words):
    """Yield one vector of PANEL 16-bit numbers per unit, in the order of `kernels/philox.py`."""
    w0, w1, w2, w3 = words
    first, second = ((low & LOW_WORD) | (high << 32) for low, high in ((w0, w1), (w2, w3)))
    pairs = [(call, CALLS + call) for call in range(CALLS)]
    unit_calls = CALLS // UNITS
    for unit in range(UNITS):
        order = [i for pair in pairs[unit * unit_calls : (unit + 1) * unit_calls] for i in pair]
        joined = shuffle(first, second, order)
        yield Value(joined.builder, joined.builder.bitcast(joined.ir, ir.VectorType(I16, PANEL)))


@vector_code
def mask_bits(builder, bits, bits_at, first_unit, units, first_block, site, step, seed, threshold):
    """Write the masks of units first_unit .. first_unit + units - 1 of one panel into bits[0],
    bits[1], ...; rounded up to a multiple of UNITS_AT_ONCE words.

    first_block: block of the panel's first sample; threshold: see `philox.drop_threshold`.
    """
    out = at(builder, bits, bits_at, I32)
    blocks = splat(builder, first_block, CALLS) + _lanes(
        builder, [c % BLOCKS for c in range(CALLS)]
    )
    key = (splat(builder, seed, CALLS), splat(builder, seed, CALLS).shift_right(32))
    fixed = splat(builder, site, CALLS), splat(builder, step, CALLS)
    limit = splat(builder, builder.trunc(threshold, I16), PANEL)
    word = ir.IntType(PANEL)

    def group(i):
        for v in range(UNROLL):
            base = builder.add(builder.mul(i, I64(UNITS_AT_ONCE)), I64(v * UNITS))
            unit = splat(builder, builder.add(base, first_unit), CALLS) + _lanes(
                builder, [c // BLOCKS for c in range(CALLS)]
            )
            words = philox4x32_10((blocks, unit, *fixed), key)
            for u, numbers in enumerate(_halves_in_order(words)):
                below = builder.icmp_unsigned("<", numbers.ir, limit.ir)
                mask = builder.bitcast(below, word)
                mask = mask if PANEL == 32 else builder.zext(mask, I32)
                address = at(builder, out, builder.add(base, I64(u)), I32)
                store(builder, Value(builder, mask), address, I32)

    groups = builder.sdiv(builder.add(units, I64(UNITS_AT_ONCE - 1)), I64(UNITS_AT_ONCE))
    loop(builder, groups, group)


@vector_code
def _blocks(builder, out, counters, count, seed):
    def one(i):
        place = builder.mul(i, I64(4))
        words = [
            load(builder, at(builder, counters, builder.add(place, I64(j)), I32), 1, I32)
            for j in range(4)
        ]
        wide = [Value(builder, builder.zext(w.ir, I64)) for w in words]
        key = Value(builder, seed)
        for j, word in enumerate(philox4x32_10(wide, (key, key.shift_right(32)))):
            narrow = Value(builder, builder.trunc(word.ir, I32))
            store(builder, narrow, at(builder, out, builder.add(place, I64(j)), I32), I32)

    loop(builder, count, one)


@jit.entry(jit.VOID, jit.WORDS, jit.WORDS, jit.INT)
def _philox_blocks(out, counters, seed):
    _blocks(out, counters, counters.shape[0], seed)


@jit.entry(jit.VOID, jit.WORDS, *[jit.INT] * 6)
def _mask_words(bits, units, first_block, site, step, seed, threshold):
    for panel in range(bits.shape[0]):
        block = first_block + panel * BLOCKS
        mask_bits(bits, panel * bits.shape[1], 0, units, block, site, step, seed, threshold)


def signed64(seed):
    """Return the 64 bits of an unsigned seed as the signed integer that kernels take."""
    return seed - (1 << 64) if seed >= 1 << 63 else seed


def philox_blocks(out, counters, seed):
    """out[i] = Philox4x32-10(counters[i], seed). out, counters: (n, 4) uint32; seed: uint64."""
    _philox_blocks(out, counters, signed64(seed))


def drop_mask(seed, step, site, first_sample, n_samples, n_units, rate):
    """Return the mask of the forward pass, (n_samples, n_units) bool, True: dropped. first_sample:
    a multiple of 8; rate in [0, 1).
    """
    bits = np.zeros(
        (-(-n_samples // PANEL), -(-n_units // UNITS_AT_ONCE) * UNITS_AT_ONCE), np.uint32
    )
    block = first_sample // SAMPLES_PER_BLOCK
    _mask_words(bits, n_units, block, site, step, signed64(seed), drop_threshold(rate))
    unpacked = (bits[:, :n_units, None] >> np.arange(PANEL, dtype=np.uint32)) & 1
    return unpacked.transpose(0, 2, 1).reshape(-1, n_units)[:n_samples].astype(bool)
