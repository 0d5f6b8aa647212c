"""Transposes between rows of samples and panels, in vector registers.

    x       data set (M, features), row by row
    block   PANEL x PANEL floats, row by row: [sample][feature] or, transposed, [feature][sample]
    panel   [feature][PANEL samples]: PANEL consecutive features are one transposed block

The calling thread owns `out`; it does not overlap the source.
"""

import numpy as np
from llvmlite import ir

from .. import jit
from ..emit import Value, at, load, shuffle, store
from .code import vector_code
from .shape import LANES, PANEL, VECTORS

ZERO = np.float32(0)


def transposed(rows):
    """Return the transpose of n vectors of n elements: log2(n) rounds of shuffles of pairs."""
    n = len(rows)
    distance = n // 2
    while distance:
        new = list(rows)
        for i in range(n):
            if i & distance:
                continue
            a, b = rows[i], rows[i + distance]
            # lane l of the first result: a[l] if the bit `distance` of l is clear, else
            # b[l - distance]
            low = [l if not l & distance else n + l - distance for l in range(n)]
            high = [l + distance if not l & distance else n + l for l in range(n)]
            new[i], new[i + distance] = shuffle(a, b, low), shuffle(a, b, high)
        rows = new
        distance //= 2
    return rows


@vector_code
def _transpose_square(builder, out, out_at, source, source_at):
    rows = [
        load(builder, at(builder, source, builder.add(source_at, ir.IntType(64)(i * PANEL))), LANES)
        for i in range(LANES)
    ]
    for i, row in enumerate(transposed(rows)):
        store(builder, row, at(builder, out, builder.add(out_at, ir.IntType(64)(i * PANEL))))


@vector_code
def _copy_panel_row(builder, out, out_at, source, source_at):
    for j in range(VECTORS):
        shift = ir.IntType(64)(j * LANES)
        value: Value = load(builder, at(builder, source, builder.add(source_at, shift)), LANES)
        store(builder, value, at(builder, out, builder.add(out_at, shift)))


@jit.helper
def transpose_block(out, out_at, source, source_at):
    """out[j, i] = source[i, j] for a block of PANEL x PANEL floats."""
    for i in range(VECTORS):
        for j in range(VECTORS):
            _transpose_square(
                out, out_at + (j * PANEL + i) * LANES, source, source_at + (i * PANEL + j) * LANES
            )


@jit.helper
def gather_block(out, out_at, x, index, first, count, column):
    """out[s, f] = x[index[first + s], column + f] for PANEL samples and features; 0 for s >= count
    and beyond the columns of x. With an empty index the row is first + s.
    """
    width = min(PANEL, x.shape[1] - column)
    for s in range(PANEL):
        at = out_at + s * PANEL
        if s < count:
            row = index[first + s] if index.size else first + s
            if width == PANEL:
                _copy_panel_row(out, at, x, row * x.shape[1] + column)
                continue
            for f in range(width):
                out[at + f] = x[row, column + f]
        for f in range(width if s < count else 0, PANEL):
            out[at + f] = ZERO
