"""The three products of a dense layer over panels and strips, with what is fused into them.

Loops: a strip of ROWS rows of the weight matrix stays in the first-level cache while the panels of
the slice pass by.
"""

from fastsnn.kernels import jit
from fastsnn.kernels.cpu.activation import (
    activate,
    activate_and_drop,
    activation_backward,
    dropout_backward,
)
from fastsnn.kernels.cpu.code import loop, vector_code
from fastsnn.kernels.cpu.shape import PANEL, ROWS, STRIP
from fastsnn.kernels.cpu.tile import forward_tile, input_gradient_tile
from fastsnn.kernels.emit import I64, at, load, store


@jit.helper
def dense_forward(
    h, h_at, h_stride, x, x_at, x_stride, params, w_at, b_at, fan_in, fan_out, panels,
    activation, dropping, bits, drop_value, affine_a, affine_b,
):  # fmt: skip
    for n in range(0, fan_out, ROWS):
        valid = min(ROWS, fan_out - n)
        for p in range(panels):
            tile_at = h_at + p * h_stride + n * PANEL
            forward_tile(
                h, tile_at, params, w_at + n * fan_in, x, x_at + p * x_stride,
                params, b_at + n, fan_in, valid,
            )  # fmt: skip
            if dropping:
                bits_at = p * bits.shape[1] + n
                activate_and_drop(
                    h, tile_at, valid, activation, bits, bits_at,
                    drop_value, affine_a, affine_b,
                )  # fmt: skip
            else:
                activate(h, tile_at, valid, activation)


@vector_code
def pack_strip(builder, strip, w, w_at, fan_in, fan_out):
    """strip[n, i] = w[n, i] for ROWS columns of w; written STRIP at a time, the next row overwrites
    the surplus.
    """
    source, out = at(builder, w, w_at), at(builder, strip, 0)

    def row(n):
        line = load(builder, at(builder, source, builder.mul(n, fan_in)), STRIP)
        store(builder, line, at(builder, out, builder.mul(n, I64(ROWS))))

    loop(builder, fan_out, row)


@jit.helper
def dense_input_backward(
    h, h_at, h_stride, dz, dz_at, dz_stride, params, w_at, fan_in, fan_out, panels,
    activation, dropping, remask, bits, affine_a, affine_b, strip, tile,
):  # fmt: skip
    """h, the output of the layer below with its `activation` and dropout, becomes that layer's dz
    in place.
    """
    for k in range(0, fan_in, ROWS):
        valid = min(ROWS, fan_in - k)
        pack_strip(strip, params, w_at + k, fan_in, fan_out)
        for p in range(panels):
            input_gradient_tile(tile, strip, dz, dz_at + p * dz_stride, fan_out)
            rows_at = h_at + p * h_stride + k * PANEL
            if dropping:
                bits_at = p * bits.shape[1] + k
                dropout_backward(
                    h, rows_at, valid, tile, activation, remask, bits, bits_at,
                    affine_a, affine_b,
                )  # fmt: skip
            else:
                activation_backward(h, rows_at, valid, tile, activation)
