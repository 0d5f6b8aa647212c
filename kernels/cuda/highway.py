"""The end of a highway layer, and its gradient.

    launch   grid (samples, ceil(units / BLOCK_SIZE)), BLOCK_SIZE threads
    thread   one element
    acts     global, float32, rows [sample][unit]; z and z' are the two halves of a row of 2 units

Neighbouring threads access neighbouring units.
"""

from numba import cuda

from .. import activations, highway, scalar
from ..emit import at, load, store
from ..program import DZ_AT, FAN_OUT, H_AT, H_STRIDE, SKIP_AT, X_AT, X_STRIDE
from .code import FLOATS, INT, device_code, kernel
from .shape import BLOCK_SIZE, ceil_div
from .table import ints


@device_code
def _forward_one(builder, acts, y_at, z_at, gate_at, x_at):
    """y = t h + (1 - t) x; h = relu(z) and t = sigmoid(z') overwrite z and z'."""
    y, z, gate, x = (at(builder, acts, offset) for offset in (y_at, z_at, gate_at, x_at))
    h, t = activations.relu(load(builder, z, 1)), scalar.sigmoid(load(builder, gate, 1))
    store(builder, highway.highway(h, t, load(builder, x, 1)), y)
    store(builder, h, z)
    store(builder, t, gate)


@device_code
def _backward_one(builder, acts, dy_at, dz_at, dgate_at, h_at, t_at, x_at):
    """The gradient of x by the carry gate, dy (1 - t), overwrites dy."""
    dy, *sources = (at(builder, acts, offset) for offset in (dy_at, h_at, t_at, x_at))
    dz, dgate, carried = highway.highway_backward(
        load(builder, dy, 1), *(load(builder, source, 1) for source in sources)
    )
    for value, offset in ((carried, dy_at), (dz, dz_at), (dgate, dgate_at)):
        store(builder, value, at(builder, acts, offset))


@kernel("highway_forward", BLOCK_SIZE, FLOATS, *[INT] * 6)
def _forward(acts, y_at, stride, z_at, z_stride, x_at, units):
    unit, sample = cuda.blockIdx.y * BLOCK_SIZE + cuda.threadIdx.x, cuda.blockIdx.x
    if unit < units:
        offset, z = sample * stride + unit, z_at + sample * z_stride + unit
        _forward_one(acts, y_at + offset, z, z + units, x_at + offset)


@kernel("highway_backward", BLOCK_SIZE, FLOATS, *[INT] * 7)
def _backward(acts, dy_at, stride, dz_at, h_at, z_stride, x_at, units):
    unit, sample = cuda.blockIdx.y * BLOCK_SIZE + cuda.threadIdx.x, cuda.blockIdx.x
    if unit < units:
        offset, z = sample * stride + unit, sample * z_stride + unit
        dz, h = dz_at + z, h_at + z
        _backward_one(acts, dy_at + offset, dz, dz + units, h, h + units, x_at + offset)


def highway_forward(launch, row, acts, samples):
    units = int(row[FAN_OUT])
    offsets = ints(row, H_AT, H_STRIDE, X_AT, X_STRIDE, SKIP_AT)
    launch(_forward, (samples, ceil_div(units, BLOCK_SIZE)), acts, *offsets, units)


def highway_backward(launch, row, below, acts, samples):
    """Launch the gradient. below: the dense node of z and z'."""
    units = int(row[FAN_OUT])
    launch(
        _backward, (samples, ceil_div(units, BLOCK_SIZE)), acts, *ints(row, DZ_AT, H_STRIDE),
        int(below[DZ_AT]), *ints(row, X_AT, X_STRIDE, SKIP_AT), units,
    )  # fmt: skip
