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
from .code import call_once, loop, vector_code
from .shape import LANES, PANEL, VECTORS

F64 = ir.DoubleType()
ZERO, ONE = np.float32(0), np.float32(1)
TARGETS = np.array([row.targets for row in ROWS])  # by the code of a loss


@jit.helper
def sample_weight_of(sample_weight, row):
    return sample_weight[row] if sample_weight.size else ONE


@jit.helper
def total_weight(code, batch, given):
    """The divisor of the weighted sum of a batch's losses."""
    index, first, count = batch
    labels, targets, sample_weight, class_weight = given
    total = 0.0
    for i in range(count):
        row = index[first + i]
        weight = np.float64(sample_weight_of(sample_weight, row))
        if TARGETS[code] == CLASSES:
            if class_weight.size:
                weight *= class_weight[labels[row]]
            total += weight
        elif TARGETS[code] == LABELS:
            for task in range(targets.shape[1]):
                if not math.isnan(targets[row, task]):
                    total += weight
        else:
            total += weight * targets.shape[1]
    return total


def _with_samples(update):
    """For each class in order: z, own = update(z, own), for all samples of a panel. `own` has a
    number for each sample. Written out as vectors, which compile to much less than LLVM's own.
    """

    @vector_code
    def with_samples(builder, z, z_at, n_classes, own):
        def of_class(c):
            row = builder.add(z_at, builder.mul(c, I64(PANEL)))
            for v in range(VECTORS):
                places = at(builder, at(builder, z, row), v * LANES), at(builder, own, v * LANES)
                old = [load(builder, place, LANES) for place in places]
                for value, before, place in zip(update(*old), old, places, strict=True):
                    if value is not before:
                        store(builder, value, place)

        loop(builder, n_classes, of_class, short=True)

    return with_samples


_subtract = _with_samples(lambda z, own: (z - own, own))
_multiply = _with_samples(lambda z, own: (z * own, own))
_add_to = _with_samples(lambda z, own: (z, own + z))


@jit.helper
def _class_weight_of(class_weight, c):
    return class_weight[c] if class_weight.size else ONE


@jit.helper
def _each(sample_weight, row, smoothing, n_classes):
    """The share of every class in the target of a sample, before class weights."""
    return sample_weight_of(sample_weight, row) * (smoothing / np.float32(n_classes))


@jit.helper
def _softmax(losses, at, z, z_at, n_classes, scratch, batch, given, loss):
    """loss = sum over c of target[c] (log sum exp(z) - z[c]);  dz = (sum(target) softmax(z) -
    target) * scale, with target[c] = weight * class_weight[c] * (smoothing / n_classes + (1 -
    smoothing if c is the label)). Without smoothing all of it is the label's.
    """
    index, first, count = batch
    labels, _, sample_weight, class_weight = given
    _, smoothing, scale = loss
    top, sums = scratch[:PANEL], scratch[PANEL : 2 * PANEL]
    for s in range(PANEL):
        top[s] = z[z_at + s]
    for c in range(1, n_classes):
        for s in range(PANEL):
            v = z[z_at + c * PANEL + s]
            top[s] = v if v > top[s] or v != v else top[s]
    for s in range(count):  # the label's own output, before it is overwritten
        losses[at + s] = top[s] - z[z_at + labels[index[first + s]] * PANEL + s]
    if smoothing > ZERO:
        for s in range(count):
            rest = 0.0
            for c in range(n_classes):
                rest += _class_weight_of(class_weight, c) * (top[s] - z[z_at + c * PANEL + s])
            row = index[first + s]
            hit = sample_weight_of(sample_weight, row)
            hit *= _class_weight_of(class_weight, labels[row])
            losses[at + s] *= hit * (ONE - smoothing)
            losses[at + s] += _each(sample_weight, row, smoothing, n_classes) * rest
    _subtract(z, z_at, n_classes, top)
    exp_vectors(z, z, z_at, n_classes * VECTORS)
    sums[:] = ZERO
    _add_to(z, z_at, n_classes, sums)
    for s in range(PANEL):
        weight = whole = ZERO  # of the label, and of all classes
        if s < count:
            row = index[first + s]
            weight = sample_weight_of(sample_weight, row)
            if class_weight.size:
                weight *= class_weight[labels[row]]
            whole = weight
            if smoothing > ZERO:
                weight *= ONE - smoothing
                total = ZERO
                for c in range(n_classes):
                    total += _class_weight_of(class_weight, c)
                whole = weight + _each(sample_weight, row, smoothing, n_classes) * total
                losses[at + s] += whole * math.log(sums[s])
            else:
                losses[at + s] = weight * (losses[at + s] + math.log(sums[s]))
        top[s] = weight * scale
        sums[s] = whole * scale / sums[s]
    _multiply(z, z_at, n_classes, sums)
    for s in range(count):
        z[z_at + labels[index[first + s]] * PANEL + s] -= top[s]
        if smoothing > ZERO:
            each = _each(sample_weight, index[first + s], smoothing, n_classes) * scale
            for c in range(n_classes):
                z[z_at + c * PANEL + s] -= each * _class_weight_of(class_weight, c)


def _exp(x):
    """Numba's `math.exp`: LLVM's, which calls the C library's."""
    function = x.builder.module.declare_intrinsic("llvm.exp", [F32])
    return Value(x.builder, x.builder.call(function, [x.ir]))


def _log1p(x):
    """Numba's `math.log1p`: the C library's."""
    kind = ir.FunctionType(F32, [F32])
    function = cgutils.insert_pure_function(x.builder.module, kind, "log1pf")
    return Value(x.builder, x.builder.call(function, [x.ir]))


FUNCTIONS = Functions(_exp, _log1p)


def _of_element(builder, code, *values):
    """(weighted loss, its derivative) of one output, as an LLVM structure."""
    values = [Value(builder, value) for value in values]
    results = emit_element(builder, code, values, FUNCTIONS)
    return cgutils.pack_struct(builder, [result.ir for result in results])


@vector_code
def _element(builder, losses, sample, kind, z, place, t, weight, parameter, positive, scale):
    """losses[sample] += weighted loss of the output z[place], which becomes its dz."""
    at_z, at_loss = at(builder, z, place), at(builder, losses, sample, F64)
    output = load(builder, at_z, 1).ir
    # A function of its own: inlined into the loops around it, it would be compiled several times.
    pair, given = ir.LiteralStructType([F32, F32]), [kind, output, t, weight, parameter, positive]
    both = call_once(builder, "loss_of_an_element", pair, _of_element, given)
    loss, gradient = cgutils.unpack_tuple(builder, both)
    total = builder.fadd(builder.load(at_loss, typ=F64), builder.fpext(loss, F64))
    builder.store(total, at_loss)
    store(builder, Value(builder, gradient) * Value(builder, scale), at_z)


@jit.helper
def _elements(losses, first_loss, z, z_at, n_outputs, batch, given, loss):
    """The loss of a sample is the sum over its outputs, in their order."""
    index, first, count = batch
    _, targets, sample_weight, class_weight = given
    code, parameter, scale = loss
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
                    losses, first_loss + s, code, z, place, targets[row, j], weight, parameter,
                    positive, scale,
                )  # fmt: skip
            else:
                z[place] = ZERO


@jit.helper
def loss_and_gradient(losses, at, z, z_at, n_outputs, scratch, batch, targets, loss):
    """losses[at + s] = weighted loss of sample s of one panel, s < batch.samples; z becomes dz, 0
    for samples beyond. targets: a `Targets`; loss: a `Loss`; scratch: two panel rows.
    """
    if loss.code == SOFTMAX:
        _softmax(losses, at, z, z_at, n_outputs, scratch, batch, targets, loss)
    else:
        _elements(losses, at, z, z_at, n_outputs, batch, targets, loss)
