"""Losses on panels of outputs: the loss of each sample, and dz in place of the outputs.

The caller sums the samples in their order: bits depend neither on threads nor on the panel's size.
"""

import math

import numpy as np
from llvmlite import ir
from numba.core import cgutils

from .. import jit
from ..emit import F32, I64, Value, at, load, store
from ..losses import CLASSES, LABELS, ROWS, SOFTMAX, Functions, emit_element
from .activation import exp_vectors
from .code import vector_code
from .shape import PANEL, VECTORS

F64 = ir.DoubleType()
ZERO, ONE = np.float32(0), np.float32(1)
TARGETS = np.array([row.targets for row in ROWS])  # by the code of a loss


@jit.helper
def sample_weight_of(sample_weight, row):
    return sample_weight[row] if sample_weight.size else ONE


@jit.helper
def total_weight(kind, index, first, count, labels, targets, sample_weight, class_weight):
    """What the weighted sum of the losses is divided by.

    `class_weight` has one number a class (softmax), or one a task for the positive label (sigmoid),
    or none.
    """
    total = 0.0
    for i in range(count):
        row = index[first + i]
        weight = np.float64(sample_weight_of(sample_weight, row))
        if TARGETS[kind] == CLASSES:
            if class_weight.size:
                weight *= class_weight[labels[row]]
            total += weight
        elif TARGETS[kind] == LABELS:
            for task in range(targets.shape[1]):
                if not math.isnan(targets[row, task]):
                    total += weight
        else:
            total += weight * targets.shape[1]
    return total


@jit.helper
def _softmax(
    losses, at, z, z_at, n_classes, scratch, first, count, index, labels, sample_weight,
    class_weight, scale,
):  # fmt: skip
    """loss = log sum exp(z) - z[label];  dz = (softmax(z) - onehot) * weight * scale"""
    top, sums = scratch[:PANEL], scratch[PANEL : 2 * PANEL]
    for s in range(PANEL):
        top[s] = z[z_at + s]
    for c in range(1, n_classes):
        for s in range(PANEL):
            v = z[z_at + c * PANEL + s]
            top[s] = v if v > top[s] or v != v else top[s]
    for s in range(count):  # the label's own output, before it is overwritten
        losses[at + s] = top[s] - z[z_at + labels[index[first + s]] * PANEL + s]
    for c in range(n_classes):
        for s in range(PANEL):
            z[z_at + c * PANEL + s] -= top[s]
    exp_vectors(z, z, z_at, n_classes * VECTORS)
    sums[:] = ZERO
    for c in range(n_classes):
        for s in range(PANEL):
            sums[s] += z[z_at + c * PANEL + s]
    for s in range(PANEL):
        weight = ZERO
        if s < count:
            row = index[first + s]
            weight = sample_weight_of(sample_weight, row)
            if class_weight.size:
                weight *= class_weight[labels[row]]
            losses[at + s] = weight * (losses[at + s] + math.log(sums[s]))
        top[s] = weight * scale
        sums[s] = top[s] / sums[s]
    for c in range(n_classes):
        for s in range(PANEL):
            z[z_at + c * PANEL + s] *= sums[s]
    for s in range(count):
        z[z_at + labels[index[first + s]] * PANEL + s] -= top[s]


def _exp(x):
    """As Numba's `math.exp`: LLVM's, which calls the C library's."""
    function = x.builder.module.declare_intrinsic("llvm.exp", [F32])
    return Value(x.builder, x.builder.call(function, [x.ir]))


def _log1p(x):
    """As Numba's `math.log1p`: the C library's."""
    kind = ir.FunctionType(F32, [F32])
    function = cgutils.insert_pure_function(x.builder.module, kind, "log1pf")
    return Value(x.builder, x.builder.call(function, [x.ir]))


FUNCTIONS = Functions(_exp, _log1p)


def _element_function(module):
    """(kind, z, t, weight, parameter, class weight of a positive label) -> (weighted loss, its
    derivative) as a function of its own: inlined into the loops around it, it would be compiled
    several times.
    """
    name = "fastsnn_loss_of_an_element"
    if name in module.globals:
        return module.globals[name]
    kind = ir.FunctionType(ir.LiteralStructType([F32, F32]), [I64, *[F32] * 5])
    function = ir.Function(module, kind, name)
    function.linkage = "internal"
    function.attributes.add("noinline")
    builder = ir.IRBuilder(function.append_basic_block())
    code, *values = function.args
    values = [Value(builder, value) for value in values]
    builder.ret(
        cgutils.pack_struct(builder, [v.ir for v in emit_element(builder, code, values, FUNCTIONS)])
    )
    return function


@vector_code
def _element(builder, losses, sample, kind, z, place, t, weight, parameter, positive, scale):
    """losses[sample] += weighted loss of the output z[place], which becomes its dz."""
    at_z, at_loss = at(builder, z, place), at(builder, losses, sample, F64)
    output = load(builder, at_z, 1).ir
    function = _element_function(builder.module)
    loss, gradient = cgutils.unpack_tuple(
        builder, builder.call(function, [kind, output, t, weight, parameter, positive])
    )
    total = builder.fadd(builder.load(at_loss, typ=F64), builder.fpext(loss, F64))
    builder.store(total, at_loss)
    store(builder, Value(builder, gradient) * Value(builder, scale), at_z)


@jit.helper
def _elements(
    losses, first_loss, kind, z, z_at, n_outputs, first, count, index, targets, sample_weight,
    class_weight, parameter, scale,
):  # fmt: skip
    """The loss of a sample is the sum over its outputs, in their order."""
    for s in range(PANEL):
        if s < count:
            losses[first_loss + s] = 0
        for j in range(n_outputs):
            place = z_at + j * PANEL + s
            if s < count:
                row = index[first + s]
                weight = sample_weight_of(sample_weight, row)
                positive = class_weight[j] if class_weight.size else ONE
                _element(
                    losses, first_loss + s, kind, z, place, targets[row, j], weight, parameter,
                    positive, scale,
                )  # fmt: skip
            else:
                z[place] = ZERO


@jit.helper
def loss_and_gradient(
    losses, at, kind, z, z_at, n_outputs, scratch, first, count, index, labels, targets,
    sample_weight, class_weight, parameter, scale,
):  # fmt: skip
    """losses[at + s] = weighted loss of sample s of one panel, s < count; z becomes dz, 0 for
    samples beyond.
    """
    if kind == SOFTMAX:
        _softmax(
            losses, at, z, z_at, n_outputs, scratch, first, count, index, labels, sample_weight,
            class_weight, scale,
        )  # fmt: skip
    else:
        _elements(
            losses, at, kind, z, z_at, n_outputs, first, count, index, targets, sample_weight,
            class_weight, parameter, scale,
        )  # fmt: skip
