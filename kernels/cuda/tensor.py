"""Tensor cores: `mma.sync`, one instruction of a warp for products of all its 32 threads, summed in
float32.

An instruction multiplies 16 rows by 8 columns over WORDS words of terms, each thread holding some
elements of all three matrices. It is given the transposed product: its rows are the columns of the
result (units), its columns the rows (samples). In which order they stand does not matter to a
product, so they are labelled for what follows: a thread ends up with 8 samples, one after another,
by pieces of 4 units, as without tensor cores.

    lane = 4 across + down: the thread's samples begin with 8 down, its units with 4 across
    rows r and r + 8 of instruction (i, j): units 4 r + 2 i and 4 r + 2 i + 1       r < 8, i < 2
    its column c: sample 8 (c // 2) + 4 (c % 2) + j                                 c < 8, j < 4

A lane holds elements of rows `across` and `across` + 8, of column `across`, at words `down` and
`down` + 4: for all eight instructions of a piece that is a quad of units and a quad of samples,
two vectors each.
"""

from llvmlite import ir

from fastsnn.kernels.cuda import device
from fastsnn.kernels.cuda.shape import GROUP, QUAD
from fastsnn.kernels.cuda.vector import load_vector, split
from fastsnn.kernels.cuda.words import word_at
from fastsnn.kernels.emit import F32, Value, as_bits

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


def fragments(builder, tile, shared, here, row, column, thread, first):
    """What a lane holds at WORDS words from `first` on: a quad of samples at two words, and for
    each piece a quad of units at both.
    """
    rest, down = split(Value(builder, thread), 4)
    sample = Value(builder, row) + (rest & 7) * QUAD - down * GROUP
    unit = Value(builder, column)

    def quad(start, extent, word, lane):
        place = Value(builder, here) + word_at(tile, extent, word, lane) + start
        return load_vector(builder, shared, place.ir, QUAD)

    words = down + first, down + (first + WORDS // 2)
    samples = [quad(0, tile.rows, word, sample) for word in words]
    units = [
        [quad(tile.right, tile.columns, word, unit + piece * tile.step) for word in words]
        for piece in range(tile.pieces)
    ]
    return units, samples


def operands_of(units, samples, i, j):
    """Of the quads of a piece at two words, what instruction (i, j) takes: four registers of its
    rows, two of its columns.
    """
    return [quad[2 * i + n] for quad in units for n in (0, 1)], [quad[j] for quad in samples]


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


def multiply(builder, tile, sums, shared, here, row, column, thread):
    """sums[i, j] += sum over the terms of a buffer of a[i, k] b[k, j]; for whole warps."""
    for first in range(0, tile.depth, WORDS):
        units, samples = fragments(builder, tile, shared, here, row, column, thread, first)
        for piece in range(tile.pieces):
            for i in range(TALL):
                for j in range(WIDE):
                    left, right = operands_of(units[piece], samples, i, j)
                    places = sums_of(tile, piece, i, j)
                    given = [sums[place] for place in places]
                    added = _instruction(builder, tile.precision, left, right, given)
                    for place, value in zip(places, added, strict=True):
                        sums[place] = value
