"""Tensor cores: `mma.sync`, one instruction of a warp for products of all its 32 threads, summed in
float32.

An instruction multiplies 16 rows by 8 columns over WORDS words of terms, each thread holding some
elements of all three matrices. It is given the transposed product: its rows are the columns of the
result (units), its columns the rows (samples). In which order rows, columns and terms stand does
not matter to a product, so they are labelled for what comes before and after. A thread ends up with
8 samples, one after another, by pieces of 4 units, as without tensor cores:

    lane = 4 across + down: the thread's samples begin with 8 down, its units with 4 across
    rows r and r + 8 of instruction (i, j): units 4 r + 2 i and 4 r + 2 i + 1       r < 8, i < 2
    its column c: sample 8 (c // 2) + 4 (c % 2) + j                                 c < 8, j < 4
    its words w and w + 4: words 2 w and 2 w + 1 of eight                           w < 4

A lane holds elements of rows `across` and `across` + 8, of column `across`, at words `down` and
`down` + 4. So for all eight instructions of a piece it takes 4 units and 4 samples at 2 words: two
blocks of each, as they lie in shared memory (`words.word_at`).
"""

from llvmlite import ir

from ..emit import F32, Value, as_bits
from . import device
from .shape import GROUP, QUAD
from .vector import load_vector, split, store_vector
from .words import turn_of, word_at, words_of

WORDS = 8  # that an instruction multiplies
TALL, WIDE = 2, 4  # instructions for the 32 units and the 32 samples of a warp's piece
INSTRUCTIONS = {
    "tf32": "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32",
    "bf16": "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32",
}
REGISTERS = "{$0, $1, $2, $3}, {$4, $5, $6, $7}, {$8, $9}, {$10, $11, $12, $13}"
CONSTRAINTS = ",".join(["=f"] * 4 + ["r"] * 6 + ["f"] * 4)


def require(precision):
    """Raises RuntimeError, in one line, where there are no instructions for it."""
    if precision in INSTRUCTIONS and not device.SIMULATED and device.architecture() < (8, 0):
        raise RuntimeError(
            f'precision "{precision}": compute capability 8.0 or newer is required, this GPU has '
            f'{".".join(map(str, device.architecture()))}; use precision "float32"'
        )


# On the way to shared memory.


def loading(tile, right, turned):
    """`tile.plain_loading` for tensor cores. A thread takes whole blocks: four terms of two rows,
    or four rows at all terms of two words.
    """
    extent = tile.columns if right else tile.rows
    quads = extent * tile.terms // QUAD // tile.threads
    side = min(4, tile.terms // QUAD)
    together = 2 if turned else 2 * tile.packed  # quads

    def place(builder, i, thread):
        """The quad of a thread. Of a turned operand 4 threads take 64 bytes of two rows, the next 4
        of the two rows after the next two: 8 threads write to all banks.
        """
        turn, part = divmod(i, together)
        q = Value(builder, thread) + turn * tile.threads
        if not turned:
            pair, quad = split(q, extent // QUAD)
            return quad * QUAD, pair * together + part
        q, near = split(q, side)
        far, rows = split(q, extent // 2)
        rows = (rows & -4) | ((rows & 1) << 1) | (rows.shift_right(1) & 1)
        return rows * 2 + part, (far * side + near) * QUAD

    def keep(builder, shared, start, stage, thread):
        def store_block(word, lane, one, two):
            """one, two: the words of two lanes."""
            words = [one[0], two[0], one[1], two[1]] if right else [*one, *two]
            target = Value(builder, start) + word_at(tile, right, word, lane)
            store_vector(builder, words, shared, target.ir)

        for i in range(0, quads, together):
            lane, term = place(builder, i, thread)
            word = term.shift_right(tile.packed - 1)
            if turned:
                lanes = [words_of(builder, tile, terms) for terms in stage[i : i + 2]]
                for j in range(0, len(lanes[0]), 2):
                    store_block(word + j, lane, *(words[j : j + 2] for words in lanes))
            else:
                terms = zip(*stage[i : i + together], strict=True)
                lanes = [words_of(builder, tile, of_lane) for of_lane in terms]
                for j in range(0, QUAD, 2):
                    store_block(word, lane + j, *lanes[j : j + 2])

    return quads, place, keep


# From there to the sums.


def starts(builder, tile, row, column, thread):
    """The places of the first block of a thread's lane in the left and in the right operand; its
    results begin with row and column of the tile.
    """
    rest, down = split(Value(builder, thread), 4)
    sample = row + (rest & 7) * QUAD - down * GROUP
    word = down * 2
    return word_at(tile, False, word, sample), word_at(tile, True, word, column)


def fragments(builder, tile, shared, here, left, right, first):
    """The fragments of a lane, of WORDS words from `first` on in a buffer: two blocks of samples,
    and two of units for each piece.
    """
    turn = turn_of(first // 2, first // WORDS)

    def blocks(extent, base, start):
        """Four lines are one exchange: an exclusive or, of all places alike."""
        places = [Value(builder, start) ^ (4 * (i ^ turn)) for i in range(2)]
        places = [Value(builder, here) + place + (base + first * extent) for place in places]
        return [load_vector(builder, shared, place.ir, QUAD) for place in places]

    samples = blocks(tile.rows, 0, left)
    pieces = [tile.right + 2 * tile.step * piece for piece in range(tile.pieces)]
    return [blocks(tile.columns, base, right) for base in pieces], samples


def operands_of(units, samples, i, j):
    """The operands of instruction (i, j) from the blocks of a piece: four registers of its rows,
    two of its columns.
    """
    return units[i], samples[j // 2][j % 2 * 2 :][:2]


def sums_of(tile, piece, i, j):
    """The accumulators of a thread to which instruction (i, j) of a piece adds, in its order."""
    units = [piece * QUAD + 2 * i + n for n in (0, 1)]
    samples = j, j + GROUP // 2
    return [sample * tile.unit + unit for unit in units for sample in samples]


def _instruction(builder, precision, left, right, sums):
    text = f"{INSTRUCTIONS[precision]} {REGISTERS};"
    operands = [as_bits(word).ir for word in left + right] + [value.ir for value in sums]
    four = ir.LiteralStructType([F32] * 4)
    result = builder.assembly(four, text, CONSTRAINTS, operands, warp=True)
    return [Value(builder, builder.extract_value(result, n)) for n in range(4)]


def multiply(builder, tile, sums, shared, here, left, right):
    """sums[i, j] += sum over the terms of a buffer of a[i, k] b[k, j], for whole warps. left and
    right are the `starts` of the thread.
    """
    for first in range(0, tile.depth, WORDS):
        units, samples = fragments(builder, tile, shared, here, left, right, first)
        for piece in range(tile.pieces):
            for i in range(TALL):
                for j in range(WIDE):
                    registers = operands_of(units[piece], samples, i, j)
                    places = sums_of(tile, piece, i, j)
                    given = [sums[place] for place in places]
                    added = _instruction(builder, tile.precision, *registers, given)
                    for place, value in zip(places, added, strict=True):
                        sums[place] = value
