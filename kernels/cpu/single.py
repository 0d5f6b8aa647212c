"""Prediction of single rows: what counts is the speed at which the weights are read.

A panel would leave nearly all its lanes empty. Here the lanes are units, over a copy of the
weights in which they are read from front to end. Every sum still runs over the features in their
order: a row has the same bits as in any batch.
"""

from .. import jit
from ..jit import FLOATS, INT, MATRIX, TABLE, VOID
from ..program import FAN_IN, FAN_OUT
from .activation import activate
from .shape import PANEL, UNITS
from .tile import single_row_tile


def packed_floats(fan_in, fan_out):
    """Floats of a layer in the copy."""
    return -(-fan_out // UNITS) * UNITS * (fan_in + 1)


def pack(packed, weight, bias):
    """packed [group of UNITS][bias, then a line for each feature][unit of the group] from a layer's
    weight (fan_out, fan_in) and bias (fan_out,); 0 for units that are not there.
    """
    fan_out, fan_in = weight.shape
    groups = packed.reshape(-1, fan_in + 1, UNITS)
    for i, group in enumerate(groups):
        units = slice(i * UNITS, min((i + 1) * UNITS, fan_out))
        count = units.stop - units.start
        group[0, :count], group[1:, :count] = bias[units], weight[units].T
        group[:, count:] = 0


@jit.entry(VOID, MATRIX, TABLE, MATRIX, FLOATS, FLOATS, MATRIX, INT)
def run_single(out, program, constants, packed, work, x, width):
    """out[i] = raw outputs for x[i], through dense layers alone. packed: the copies of all layers,
    one after another; work: two rows of `width` floats, a multiple of UNITS and PANEL, for each row
    of x.
    """
    layers, samples = program.shape[0], x.shape[0]
    at = 0
    for r in range(layers):
        row = program[r]
        fan_in, fan_out = row[FAN_IN], row[FAN_OUT]
        for n in range(0, fan_out, UNITS):
            for i in range(samples):
                z_at = (2 * i + r % 2) * width + n
                if r == 0:
                    single_row_tile(work, z_at, packed, at, x, i * fan_in, fan_in)
                else:
                    x_at = (2 * i + 1 - r % 2) * width
                    single_row_tile(work, z_at, packed, at, work, x_at, fan_in)
            at += UNITS * (fan_in + 1)
        for i in range(samples):
            z_at = (2 * i + r % 2) * width
            rows = (fan_out + PANEL - 1) // PANEL
            activate(work, z_at, rows, row, constants[r], work, 0, 0)  # nothing drops: no bits
    for i in range(samples):
        z_at = (2 * i + (layers - 1) % 2) * width
        for j in range(program[layers - 1, FAN_OUT]):
            out[i, j] = work[z_at + j]
