"""The gate of a highway layer on panels, forward and backward, in vector code.

    N          units of the layer
    z, z'      the two halves of a dense layer with 2 N outputs, in panels [p][unit][S] at X_AT;
               forward replaces them by h = relu(z) and t = sigmoid(z'), backward by dz and dz'
    x          the carried input, panels at SKIP_AT
    y, dy      output and its gradient, panels at H_AT; backward replaces dy by the carry's gradient

The calling thread owns panels [first_panel, last_panel).
"""

from .. import activations, highway, jit, scalar
from ..emit import I64, at, load, store
from ..program import FAN_OUT, H_AT, H_STRIDE, SKIP_AT, X_AT, X_STRIDE
from .code import loop, vector_code
from .shape import LANES, PANEL


@vector_code
def _forward(builder, acts, y_at, z_at, gate_at, x_at, floats):
    """y = t h + (1 - t) x; h = relu(z) and t = sigmoid(z') overwrite z and z'."""

    def one(i):
        place = builder.mul(i, I64(LANES))
        y, z, gate, x = (
            at(builder, acts, builder.add(start, place)) for start in (y_at, z_at, gate_at, x_at)
        )
        h = activations.relu(load(builder, z, LANES))
        t = scalar.sigmoid(load(builder, gate, LANES))
        store(builder, highway.highway(h, t, load(builder, x, LANES)), y)
        store(builder, h, z)
        store(builder, t, gate)

    loop(builder, builder.sdiv(floats, I64(LANES)), one)


@vector_code
def _backward(builder, acts, dy_at, h_at, t_at, x_at, floats):
    """dz overwrites h, dz' overwrites t, and the gradient of the carry overwrites dy."""

    def one(i):
        place = builder.mul(i, I64(LANES))
        places = [at(builder, acts, builder.add(s, place)) for s in (dy_at, h_at, t_at, x_at)]
        dz, dgate, carried = highway.highway_backward(*(load(builder, p, LANES) for p in places))
        for value, target in zip((carried, dz, dgate), places, strict=False):
            store(builder, value, target)

    loop(builder, builder.sdiv(floats, I64(LANES)), one)


@jit.helper
def highway_forward(row, acts, first_panel, last_panel):
    floats = row[FAN_OUT] * PANEL
    for p in range(first_panel, last_panel):
        y_at, z_at = row[H_AT] + p * row[H_STRIDE], row[X_AT] + p * row[X_STRIDE]
        _forward(acts, y_at, z_at, z_at + floats, row[SKIP_AT] + p * row[H_STRIDE], floats)


@jit.helper
def highway_backward(row, acts, first_panel, last_panel):
    floats = row[FAN_OUT] * PANEL
    for p in range(first_panel, last_panel):
        dy_at, h_at = row[H_AT] + p * row[H_STRIDE], row[X_AT] + p * row[X_STRIDE]
        _backward(acts, dy_at, h_at, h_at + floats, row[SKIP_AT] + p * row[H_STRIDE], floats)
