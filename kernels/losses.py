"""Losses and their derivatives for one output, written once for both backends, and their table.

    z           output of the network (raw)
    t           its target; NaN: missing label
    weight      weight of the sample
    parameter   parameter of the loss, float32; 0 if it has none
    positive    class weight of a positive label
    functions   `Functions` of the backend

All but `functions` are float32 `Value`s, see `emit.py`. A function returns (weighted loss, its
derivative with respect to z). Trained networks must keep their bits, so the order of the products
in the code is part of the contract.

To add a loss of single outputs: write its function and a row at the end of `LOSSES` here, and a
class in `fastsnn/losses.py`. A loss that reads all outputs of a row (element None) has its own code
in `cpu/loss.py` and `cuda/loss.py` instead of the function.
"""

from collections.abc import Callable
from typing import NamedTuple

from llvmlite import ir

from .emit import F32, Value, absolute, copysign, where

# Kinds of targets: integer classes (rows,), numbers (rows, outputs), and labels (rows, outputs),
# NaN if missing.
CLASSES, NUMBERS, LABELS = range(3)
NAN = float("nan")


class Functions(NamedTuple):
    """Functions that each backend takes from its own library or approximates itself. The bits of
    trained networks depend on them.
    """

    exp: Callable[[Value], Value]  # exp(x) for x <= 0
    log1p: Callable[[Value], Value]  # log(1 + x) for x > -1


def sigmoid(z, t, weight, parameter, positive, functions):
    """(1 - t) log(1 + exp(z)) + c t log(1 + exp(-z)), c the class weight of a positive label."""
    upper = z > 0
    e = functions.exp(where(upper, 0 - z, z))
    yes, no = where(upper, 1, e), where(upper, e, 1)  # sigmoid is yes / (yes + no)
    common = functions.log1p(e)
    if_zero, if_one = common + where(upper, z, 0), common + where(upper, 0, 0 - z)
    rest, hit = 1 - t, positive * t
    loss = weight * (rest * if_zero + hit * if_one)
    return loss, (rest * yes - hit * no) / (e + 1) * weight


def mse(z, t, weight, *_):
    """(z - t)^2"""
    d = z - t
    return weight * d * d, (d + d) * weight


def huber(z, t, weight, delta, *_):
    """d^2 / 2 for d = |z - t| <= delta, else delta (d - delta / 2); slope d clipped to delta."""
    d = z - t
    size = absolute(d)
    clipped = where(size > delta, delta, size)
    return weight * (clipped * (size - clipped * 0.5)), copysign(clipped, d) * weight


def quantile(z, t, weight, q, *_):
    """q d for d = t - z > 0, else (q - 1) d. The derivative at d = 0 is 0, a subgradient."""
    d = t - z
    slope = where(d > 0, 0 - q, where(d < 0, 1 - q, 0))
    return weight * (where(d > 0, q, q - 1) * d), slope * weight


class Row(NamedTuple):
    """A row of the table of losses."""

    targets: int  # CLASSES, NUMBERS or LABELS
    element: Callable | None = None


# The code of a loss is its index in this table.
LOSSES = {
    "softmax_cross_entropy": Row(CLASSES),
    "sigmoid_cross_entropy": Row(LABELS, sigmoid),
    "mse": Row(NUMBERS, mse),
    "huber": Row(NUMBERS, huber),
    "quantile": Row(NUMBERS, quantile),
}
CODES = {name: code for code, name in enumerate(LOSSES)}
ROWS = tuple(LOSSES.values())
ELEMENTWISE = tuple(code for code, row in enumerate(ROWS) if row.element)
SOFTMAX = CODES["softmax_cross_entropy"]


def require(code: int) -> Row:
    """Return the row of a loss. Raises ValueError for a code outside the table."""
    if code not in range(len(ROWS)):
        raise ValueError(f"loss: a code in [0, {len(ROWS)}) is required, got {code}")
    return ROWS[code]


def emit_element(builder, code, operands, functions, codes=ELEMENTWISE):
    """Emit the loss `code` of one element; return (weighted loss, its derivative by z) as Values.

    code: an LLVM integer, one of `codes`; any other gives NaN, which stops the training. operands:
    z, t, weight, parameter, positive. A missing label gives 0 and 0.
    """
    if len(codes) == 1:
        return _of_row(ROWS[codes[0]], operands, functions)
    ways = []
    before = builder.basic_block
    done = builder.append_basic_block("element")
    chosen = builder.switch(code, done)
    for each in codes:
        block = builder.append_basic_block(f"loss{each}")
        chosen.add_case(ir.Constant(code.type, each), block)
        builder.position_at_end(block)
        ways.append((_of_row(ROWS[each], operands, functions), builder.basic_block))
        builder.branch(done)
    builder.position_at_end(done)
    results = []
    for i in range(2):
        phi = builder.phi(F32)
        phi.add_incoming(ir.Constant(F32, NAN), before)
        for values, block in ways:
            phi.add_incoming(values[i].ir, block)
        results.append(Value(builder, phi))
    return results


def _of_row(row, operands, functions):
    results = row.element(*operands, functions)
    if row.targets != LABELS:
        return results
    labelled = operands[1].is_number()
    return [where(labelled, value, 0) for value in results]
