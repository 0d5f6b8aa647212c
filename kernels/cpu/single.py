"""Prediction of single rows, limited by the bandwidth at which the weights are read.

    K, N       inputs and outputs of a layer; k: input, n: unit
    packed     copy of the weights of all layers, one after another, each as
               [group of UNITS units][1 + K][unit of the group]: bias, then one line per input
    work       (rows of x, 2, width): outputs of a layer and of the one before, in turns

A panel would leave nearly all of its lanes empty. Here the lanes are units, and `packed` is read
sequentially. Every sum still runs over the features in order, so a row has the same bits as in a
batch of any size.
"""

from .. import jit
from ..jit import FLOATS, INT, MATRIX, TABLE, VOID
from ..program import FAN_IN, FAN_OUT
from .activation import activate
from .shape import PANEL, UNITS
from .tile import single_row_tile


def packed_floats(fan_in, fan_out):
    """Return the number of floats of a layer in `packed`."""
    return -(-fan_out // UNITS) * UNITS * (fan_in + 1)


def pack(packed, weight, bias):
    """Write a layer's weight (fan_out, fan_in) and bias (fan_out,) into its part of `packed`; units
    beyond fan_out are 0.
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
    """out[i] = raw outputs for x[i], for programs of dense layers only. width: floats per layer in
    `work`, a multiple of UNITS and PANEL.
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
            activate(work, z_at, rows, row, constants[r], work, 0, 0)  # no dropout: no bits
    for i in range(samples):
        z_at = (2 * i + (layers - 1) % 2) * width
        for j in range(program[layers - 1, FAN_OUT]):
            out[i, j] = work[z_at + j]
