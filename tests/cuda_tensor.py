"""Tensor cores in the simulator: rounding, layout of shared memory, and fragments of instructions.
Run by test_cuda.py, with NUMBA_ENABLE_CUDASIM=1.

The simulator has no tensor cores: a thread multiplies its own rows and columns of the same words.
The warp-wide instruction is emulated here, by the tables of the PTX manual.
"""

import functools

import numpy as np
import pytest
from cuda_blocks import bank_accesses

from fastsnn.engine.backends import PRECISIONS
from fastsnn.kernels.cuda import device as driver
from fastsnn.kernels.cuda import operands, shape, tensor, tile
from fastsnn.kernels.cuda.code import device_code, device_value
from fastsnn.kernels.emit import I64, Value, at, load, store

MODES = "tf32", "bf16"
BITS = {"tf32": 11, "bf16": 8}  # significant bits; the unit roundoff is 2^-BITS
TILES = [t for mode in MODES for t in shape.TENSOR[mode]]
every_tile = pytest.mark.parametrize("t", TILES, ids=lambda t: t.name)
every_mode = pytest.mark.parametrize("mode", MODES)


def test_modes():
    assert ("float32", *shape.TENSOR) == PRECISIONS == tuple(shape.TILES)
    for t in TILES:
        assert (
            t.tensor
            and t.threads % 32 == 0
            and t.vector_step % 32 == 0
            and t.depth % tensor.WORDS == 0
        )
        assert 2 * 4 * t.buffer <= 48 * 1024


# Rounding.


def rounded(x, mode):
    """Return x rounded to BITS[mode] significant bits, in float64. Ties: away from zero in tf32, to
    even in bf16.
    """
    x, bits = np.asarray(x, np.float64), BITS[mode]
    _, exponent = np.frexp(x)
    last = np.ldexp(1.0, np.maximum(exponent, -125) - bits)  # constant for denormal numbers
    with np.errstate(invalid="ignore"):
        steps = x / last
        load_full = np.rint(steps) if mode == "bf16" else np.trunc(steps + np.copysign(0.5, steps))
        y = np.where(np.isfinite(x), load_full * last, x)
    return np.where(np.abs(y) >= 2.0**128, np.copysign(np.inf, y), y)


def numbers(mode):
    """Return float32 numbers with all exponents and signs, on, next to and between ties."""
    rng = np.random.default_rng(0)
    drop = 24 - BITS[mode]
    upper = rng.integers(2 ** (32 - drop), size=1500, dtype=np.uint64) << np.uint64(drop)
    upper = np.append(upper, np.uint64([0, 2**31, 0x7F7FFFFF >> drop << drop, 1 << drop]))
    half = 2 ** (drop - 1)
    lower = np.uint64([0, 1, half - 1, half, half + 1, 2**drop - 1])
    bits = (upper[:, None] | lower).reshape(-1)
    bits = np.append(bits, rng.integers(2**32, size=3000, dtype=np.uint64)).astype(np.uint32)
    special = np.float32([0, -0.0, np.inf, -np.inf, np.nan, np.finfo(np.float32).max, 1e-45])
    return np.append(bits.view(np.float32), special)


@every_mode
def test_rounding(mode):
    """Pack and unpack agree with the oracle, which uses no bit operations."""
    t = shape.TENSOR[mode][0]

    @device_code
    def through(builder, out, x, i):
        terms = [load(builder, at(builder, x, builder.add(i, I64(n))), 1) for n in range(2)]
        made = operands.pack(builder, t, terms)
        given = [term for word in made for term in operands.unpack(t, word)]
        for n, term in enumerate(given):
            store(builder, term, at(builder, out, builder.add(i, I64(n))))

    x = numbers(mode)
    x = x[: len(x) // 2 * 2]
    out = np.full_like(x, 7)
    for i in range(0, len(x), 2):
        through(out, x, i)
    fine = ~np.isnan(x)
    assert np.array_equal(out[fine].astype(np.float64), rounded(x[fine], mode))
    assert np.array_equal(np.signbit(out[fine]), np.signbit(x[fine]))
    assert not np.isfinite(out[~fine]).any() and fine.mean() > 0.9
    quiet = x[~fine].view(np.uint32) & 0x00400000 > 0
    assert np.isnan(out[~fine][quiet]).all() and quiet.any()
    normal = np.isfinite(out) & (np.abs(x) >= 2.0**-126)
    moved = np.abs(out[normal].astype(np.float64) - x[normal])
    assert (moved <= 2.0 ** -BITS[mode] * np.abs(x[normal])).all()


# Copies to shared memory.


@functools.cache
def word_at(t, right):
    @device_value("int64")
    def place(builder, word, lane):
        return operands.shared_offset(t, right, Value(builder, word), Value(builder, lane))

    return place


def operand(t, right, seed):
    """Return integers that no mode rounds, (rows or columns, terms)."""
    lanes = t.columns if right else t.rows
    return np.random.default_rng(seed).integers(-9, 10, size=(lanes, t.terms)).astype(np.float32)


def copied(t, right, k_major, given):
    """Return shared memory (words) after all threads have copied, and each thread's offsets."""
    load_full, _, store_shared, floats = tile._copy_code(t, right, k_major)
    source = np.ascontiguousarray(given if k_major else given.T).reshape(-1)
    stride = t.terms if k_major else len(given)
    shared, destinations = np.full(t.buffer, np.nan, np.float32), []
    for thread in range(t.threads):
        stage, own = np.zeros(floats, np.float32), np.full(t.buffer, np.nan, np.float32)
        load_full(stage, source, 0, stride, len(given) - 1, 0, thread)
        store_shared(own, 0, stage, thread)
        (places,) = np.nonzero(~np.isnan(own))
        assert np.isnan(shared[places]).all() and len(places) == floats // t.terms_per_word
        shared[places] = own[places]
        destinations.append(places)
    return shared, np.array(destinations)


def as_word(t, terms):
    """Return the bits of the words of terms that need no rounding."""
    bits = terms.view(np.uint32)
    if t.terms_per_word == 2:
        bits = bits[..., ::2] >> 16 | bits[..., 1::2]
    return bits


@every_tile
def test_words_are_stored_at_the_offsets_of_their_loads(t):
    for right in (False, True):
        given = operand(t, right, 1)
        expected = np.zeros(len(given) * t.depth, np.uint32)
        places = [
            [word_at(t, right)(k, lane) for k in range(t.depth)] for lane in range(len(given))
        ]
        assert sorted(np.ravel(places)) == list(range(expected.size))
        expected[np.array(places)] = as_word(t, given)
        for k_major in (False, True):
            shared, _ = copied(t, right, k_major, given)
            assert np.array_equal(shared[: expected.size].view(np.uint32), expected)


def stored_vectors(t, right, k_major):
    """Return the vectors that each thread stores, in its order: offsets (thread, vector, 4)."""
    _, _, store_shared, floats = tile._copy_code(t, right, k_major)
    found = []
    for thread in range(t.threads):
        shared = np.full(t.buffer, np.nan, np.float32)
        store_shared(shared, 0, np.arange(1, floats + 1, dtype=np.float32), thread)
        (places,) = np.nonzero(~np.isnan(shared))
        quads, first = (
            places.reshape(-1, 4),
            shared[places].view(np.uint32) << 16 * (t.terms_per_word - 1),
        )
        assert (np.diff(quads) == 1).all() and (quads[:, 0] % 4 == 0).all()
        order = np.argsort(first.view(np.float32).reshape(-1, 4).min(axis=1))
        found.append(quads[order])
    return np.array(found)


@every_tile
def test_no_bank_conflicts(t):
    """A quarter of a warp moves 4 words by 8 threads at a time."""
    vectors = [
        stored_vectors(t, right, k_major) for right in (False, True) for k_major in (False, True)
    ]
    lanes = read_fragments(t, np.arange(t.buffer, dtype=np.float32))
    vectors += [block.astype(int) for step in lanes for block in step]
    for of_threads in vectors:
        of_threads = of_threads.reshape(t.threads, -1, 4)
        for first in range(0, t.threads, 8):
            for v in range(of_threads.shape[1]):
                found, possible = bank_accesses(of_threads[first : first + 8, v, 0], 4)
                assert found == possible == 1


# Instructions of a warp.


def read_fragments(t, shared):
    """Return for every eight words the fragments (units, samples) of each thread, loaded by the
    kernels' device code: (thread, vector, block, 4) and (thread, block, 4).
    """
    left_of, right_of = tile._pair_code(tile._fragment_offsets, t)
    made = []
    for first in range(0, t.depth, tensor.WORDS):

        @device_code
        def read(builder, out, shared, left, right, first=first):
            units, samples = tensor.load_fragments(builder, t, shared, I64(0), left, right, first)
            given = [word for vector in [*units, samples] for block in vector for word in block]
            for i, word in enumerate(given):
                store(builder, word, at(builder, out, i))

        out = np.zeros((t.threads, t.vectors + 1, 2, 4), np.float32)
        for thread in range(t.threads):
            flat = np.zeros(out[0].size, np.float32)
            read(flat, shared, left_of(thread), right_of(thread))
            out[thread] = flat.reshape(out[0].shape)
        made.append((out[:, :-1], out[:, -1]))
    return made


def unpacked(t, registers):
    """Return (..., n) words as (..., n, terms of a word)."""
    bits = np.ascontiguousarray(registers).view(np.uint32)
    parts = [bits] if t.terms_per_word == 1 else [bits << 16, bits & 0xFFFF0000]
    return np.stack([part.view(np.float32) for part in parts], axis=-1).astype(np.float64)


def mma(t, a, b):
    """Return the fragments of D = A B. a (lane, 4, terms)   b (lane, 2, terms)   D (lane, 4)

    PTX ISA, "Matrix Fragments for mma.m16n8k8" (tf32) and "mma.m16n8k16" (bf16), element by
    element; groupID = lane / 4, threadID_in_group = lane % 4.
    """
    A, B = np.full((16, 8 * t.terms_per_word), np.nan), np.full((8 * t.terms_per_word, 8), np.nan)
    for lane in range(32):
        group, member = divmod(lane, 4)
        if t.terms_per_word == 1:
            for i in range(4):
                row, col = group + 8 * (i in (1, 3)), member + 4 * (i >= 2)
                A[row, col] = a[lane, i, 0]
            for i in range(2):
                B[member + 4 * i, group] = b[lane, i, 0]
            continue
        for i in range(8):
            row = group if i < 2 or 4 <= i < 6 else group + 8
            A[row, member * 2 + (i & 1) + 8 * (i >= 4)] = a[lane, i // 2, i % 2]
        for i in range(4):
            B[member * 2 + (i & 1) + 8 * (i >= 2), group] = b[lane, i // 2, i % 2]
    D = A @ B
    lanes = np.arange(32)
    rows, columns = lanes // 4, lanes % 4 * 2
    return np.stack([D[rows + 8 * (i >= 2), columns + (i & 1)] for i in range(4)], axis=1)


@every_tile
@pytest.mark.parametrize("k_major", [(True, True), (True, False), (False, False)])
def test_instructions_give_the_product(t, k_major):
    """This holds for the three products of a layer, from global memory to the accumulators."""
    a, b = operand(t, False, 2), operand(t, True, 3)
    shared, _ = copied(t, False, k_major[0], a)
    shared[t.right_offset :] = copied(t, True, k_major[1], b)[0][: t.buffer - t.right_offset]
    sums = np.zeros((t.threads, t.accumulators))
    for units, samples in read_fragments(t, shared):
        for warp in range(0, t.threads, 32):
            lanes = slice(warp, warp + 32)
            for vector in range(t.vectors):
                for i in range(tensor.TALL):
                    for j in range(tensor.WIDE):
                        of_lanes = [
                            tensor.operands_of(units[lane, vector], samples[lane], i, j)
                            for lane in range(warp, warp + 32)
                        ]
                        left, right = (
                            unpacked(t, np.array(r)) for r in zip(*of_lanes, strict=True)
                        )
                        sums[lanes, tensor.accumulators_of(t, vector, i, j)] += mma(t, left, right)
    product = a.astype(np.float64) @ b.T
    row_of, column_of = tile.thread_origin(t)
    for thread in range(t.threads):
        row, column = row_of(thread), column_of(thread)
        columns = [
            column + p * t.vector_step + u for p in range(t.vectors) for u in range(t.vector_width)
        ]
        expected = product[row : row + shape.GROUP][:, columns]
        assert np.array_equal(sums[thread].reshape(shape.GROUP, t.columns_per_thread), expected)


def test_an_older_gpu_is_refused(monkeypatch):
    monkeypatch.setattr(driver, "SIMULATED", False)
    monkeypatch.setattr(driver, "architecture", lambda: (7, 5))
    tensor.require("float32")
    for mode in MODES:
        with pytest.raises(RuntimeError, match=f'"{mode}": compute capability 8.0 or newer') as e:
            tensor.require(mode)
        assert "\n" not in str(e.value) and "7.5" in str(e.value)
    monkeypatch.setattr(driver, "architecture", lambda: (8, 0))
    tensor.require("bf16")
