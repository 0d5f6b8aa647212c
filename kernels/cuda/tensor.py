"""Tensor cores: `mma.sync`, a warp-wide instruction that multiplies and accumulates in float32.

An instruction multiplies 16 rows by 8 columns over WORDS words of terms (operand words, see
`operands.py`), distributed over the 32 lanes of a warp. It computes the transposed product: its
rows are columns of the result (units), its columns are rows (samples). The order of rows, columns
and terms does not matter to a product, so they are assigned such that a thread has 8 consecutive
samples by vectors of 4 units, as without tensor cores:

    lane = 4 across + down      the thread's samples begin at 8 down, its units at 4 across
    instruction (i, j)          i < TALL = 2, j < WIDE = 4: 32 units by 32 samples of a warp
    its rows r and r + 8        units 4 r + 2 i and 4 r + 2 i + 1          r < 8
    its column c                sample 8 (c // 2) + 4 (c % 2) + j          c < 8
    its words w and w + 4       words 2 w and 2 w + 1 of eight             w < 4

A lane holds elements of rows `across` and `across` + 8 and of column `across`, at words `down` and
`down` + 4. For all eight instructions of a vector of units it therefore loads 4 units and 4 samples
at 2 words: two blocks of each operand, as they are stored in shared memory.
"""

from llvmlite import ir

from ..emit import F32, Value, as_bits
from . import device
from .operands import pack, shared_offset, swizzle
from .shape import GROUP, QUAD
from .vector import load_vector, split, store_vector

WORDS = 8  # words of terms per instruction
TALL, WIDE = 2, 4  # instructions for the 32 units and the 32 samples of a warp
INSTRUCTIONS = {
    "tf32": "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32",
    "bf16": "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32",
}
REGISTERS = "{$0, $1, $2, $3}, {$4, $5, $6, $7}, {$8, $9}, {$10, $11, $12, $13}"
CONSTRAINTS = ",".join(["=f"] * 4 + ["r"] * 6 + ["f"] * 4)


def require(precision):
    """Raise RuntimeError, in one line, if the GPU has no instructions for a precision."""
    if precision in INSTRUCTIONS and not device.SIMULATED and device.architecture() < (8, 0):
        raise RuntimeError(
            f'precision "{precision}": compute capability 8.0 or newer is required, this GPU has '
            f'{".".join(map(str, device.architecture()))}; use precision "float32"'
        )


# Copies to shared memory.


def tensor_copy(tile, right, k_major):
    """`tile.float32_copy` for tensor cores. A thread copies whole blocks: four terms of two rows,
    or four rows at all terms of two words.
    """
    extent = tile.columns if right else tile.rows
    count = extent * tile.terms // QUAD // tile.threads
    threads_per_row = min(4, tile.terms // QUAD)
    group = 2 if k_major else 2 * tile.terms_per_word  # vectors that are stored together

    def coordinates(builder, i, thread):
        """Return (mn, k) of vector i of a thread. K-major: 4 threads take 64 bytes of two rows, the
        next 4 threads two rows further on, so that 8 threads store to all banks.
        """
        round_, part = divmod(i, group)
        q = Value(builder, thread) + round_ * tile.threads
        if not k_major:
            pair, vector = split(q, extent // QUAD)
            return vector * QUAD, pair * group + part
        q, minor = split(q, threads_per_row)
        major, rows = split(q, extent // 2)
        rows = (rows & -4) | ((rows & 1) << 1) | (rows.shift_right(1) & 1)  # swap the lowest bits
        return rows * 2 + part, (major * threads_per_row + minor) * QUAD

    def store_shared(builder, shared, start, staging, thread):
        def store_block(word, mn, first, second):
            """first, second: two words each of mn and of mn + 1."""
            if right:
                words = [first[0], second[0], first[1], second[1]]
            else:
                words = [*first, *second]
            target = Value(builder, start) + shared_offset(tile, right, word, mn)
            store_vector(builder, words, shared, target.ir)

        for i in range(0, count, group):
            mn, k = coordinates(builder, i, thread)
            word = k.shift_right(tile.terms_per_word - 1)
            if k_major:
                rows = [pack(builder, tile, terms) for terms in staging[i : i + 2]]
                for j in range(0, len(rows[0]), 2):
                    store_block(word + j, mn, *(words[j : j + 2] for words in rows))
            else:
                columns = zip(*staging[i : i + group], strict=True)
                rows = [pack(builder, tile, terms) for terms in columns]
                for j in range(0, QUAD, 2):
                    store_block(word, mn + j, *rows[j : j + 2])

    return count, coordinates, store_shared


# Fragments and instructions.


def fragment_offsets(builder, tile, row, column, thread):
    """Return the offsets of a lane's first block of the left and of the right operand. row, column:
    the `tile.thread_origin`.
    """
    rest, down = split(Value(builder, thread), 4)
    sample = row + (rest & 7) * QUAD - down * GROUP
    word = down * 2
    return shared_offset(tile, False, word, sample), shared_offset(tile, True, word, column)


def load_fragments(builder, tile, shared, buffer, left, right, first):
    """Load a lane's fragments of WORDS words from `first` on in a buffer. Return (units, samples):
    two blocks of units for each vector, two blocks of samples.
    """
    mask = swizzle(first // 2, first // WORDS)

    def load_blocks(extent, base, start):
        """Four lines are swizzled by the same mask: one xor of a lane's offset."""
        offsets = [Value(builder, start) ^ (4 * (i ^ mask)) for i in range(2)]
        offsets = [Value(builder, buffer) + offset + (base + first * extent) for offset in offsets]
        return [load_vector(builder, shared, offset.ir, QUAD) for offset in offsets]

    samples = load_blocks(tile.rows, 0, left)
    bases = [tile.right_offset + 2 * tile.vector_step * vector for vector in range(tile.vectors)]
    return [load_blocks(tile.columns, base, right) for base in bases], samples


def operands_of(units, samples, i, j):
    """Return the operands of instruction (i, j): four registers of its rows, two of its columns.
    units: the two blocks of a vector.
    """
    return units[i], samples[j // 2][j % 2 * 2 :][:2]


def accumulators_of(tile, vector, i, j):
    """Return the indices of the accumulators of instruction (i, j) of a vector, in its order."""
    units = [vector * QUAD + 2 * i + n for n in (0, 1)]
    samples = j, j + GROUP // 2
    return [sample * tile.columns_per_thread + unit for unit in units for sample in samples]


def _mma(builder, precision, left, right, sums):
    text = f"{INSTRUCTIONS[precision]} {REGISTERS};"
    operands = [as_bits(word).ir for word in left + right] + [value.ir for value in sums]
    four = ir.LiteralStructType([F32] * 4)
    result = builder.assembly(four, text, CONSTRAINTS, operands, warp=True)
    return [Value(builder, builder.extract_value(result, n)) for n in range(4)]


def mma_products(builder, tile, sums, shared, buffer, left, right):
    """Add the products of a buffer, all threads of a warp together. left, right: the
    `fragment_offsets` of the thread.
    """
    for first in range(0, tile.depth, WORDS):
        units, samples = load_fragments(builder, tile, shared, buffer, left, right, first)
        for vector in range(tile.vectors):
            for i in range(TALL):
                for j in range(WIDE):
                    operands = operands_of(units[vector], samples, i, j)
                    indices = accumulators_of(tile, vector, i, j)
                    accumulators = [sums[index] for index in indices]
                    results = _mma(builder, tile.precision, *operands, accumulators)
                    for index, value in zip(indices, results, strict=True):
                        sums[index] = value
