"""Losses on one panel of outputs: the loss of each sample, and dz, which overwrites the outputs.

    N          outputs (classes, targets or labels) of the network; c, j: one of them
    S          samples of the panel (PANEL); s: sample
    z, dz      panel [output][S] in acts, at z_at
    losses     (M,) float64; a call writes those of its panel
    scratch    (2, S): maximum, then sum of exponentials of each sample
    batch      (index, first row, samples of this panel); given: labels, targets and weights

The calling thread owns the panel. The caller adds the losses in the order of the samples, so bits
depend neither on the number of threads nor on the width of a panel.
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
TARGETS = np.array([row.targets for row in ROWS])  # index: code of the loss


@jit.helper
def sample_weight_of(sample_weight, row):
    return sample_weight[row] if sample_weight.size else ONE


@jit.helper
def total_weight(code, batch, given):
    """Return the sum of the weights of a batch, the divisor of the mean loss. float64."""
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


def _for_each_class(update):
    """Return vector code that runs z, own = update(z, own) for each class in order, for all samples
    of a panel. `own`: (S,), one number per sample. Explicit vectors compile to far less code than
    LLVM's own vectorization.
    """

    @vector_code
    def for_each_class(builder, z, z_at, n_classes, own):
        def one(c):
            row = builder.add(z_at, builder.mul(c, I64(PANEL)))
            for v in range(VECTORS):
                places = at(builder, at(builder, z, row), v * LANES), at(builder, own, v * LANES)
                old = [load(builder, place, LANES) for place in places]
                for value, before, place in zip(update(*old), old, places, strict=True):
                    if value is not before:
                        store(builder, value, place)

        loop(builder, n_classes, one, short=True)

    return for_each_class


_subtract = _for_each_class(lambda z, own: (z - own, own))
_multiply = _for_each_class(lambda z, own: (z * own, own))
_add_to = _for_each_class(lambda z, own: (z, own + z))


@jit.helper
def _class_weight_of(class_weight, c):
    return class_weight[c] if class_weight.size else ONE


@jit.helper
def _smoothed_target(sample_weight, row, smoothing, n_classes):
    """Return the target of each class that label smoothing adds, before class weights."""
    return sample_weight_of(sample_weight, row) * (smoothing / np.float32(n_classes))


@jit.helper
def _softmax(losses, at, z, z_at, n_classes, scratch, batch, given, loss):
    """loss = sum_c target[c] (log sum exp(z) - z[c]);  dz = (sum(target) softmax(z) - target) scale

    target[c] = weight * class_weight[c] * (smoothing / n_classes + (1 - smoothing if c is the
    label)). Without smoothing, the target of every other class is 0.
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
    for s in range(count):  # reads the output of the label before it is overwritten
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
            losses[at + s] += _smoothed_target(sample_weight, row, smoothing, n_classes) * rest
    _subtract(z, z_at, n_classes, top)
    exp_vectors(z, z, z_at, n_classes * VECTORS)
    sums[:] = ZERO
    _add_to(z, z_at, n_classes, sums)
    for s in range(PANEL):
        weight = whole = ZERO  # target of the label; sum of the targets of all classes
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
                whole = weight + _smoothed_target(sample_weight, row, smoothing, n_classes) * total
                losses[at + s] += whole * math.log(sums[s])
            else:
                losses[at + s] = weight * (losses[at + s] + math.log(sums[s]))
        top[s] = weight * scale
        sums[s] = whole * scale / sums[s]
    _multiply(z, z_at, n_classes, sums)
    for s in range(count):
        z[z_at + labels[index[first + s]] * PANEL + s] -= top[s]
        if smoothing > ZERO:
            each = _smoothed_target(sample_weight, index[first + s], smoothing, n_classes) * scale
            for c in range(n_classes):
                z[z_at + c * PANEL + s] -= each * _class_weight_of(class_weight, c)


def _exp(x):
    """Emit LLVM's exp, which calls the C library, as Numba's `math.exp` does."""
    function = x.builder.module.declare_intrinsic("llvm.exp", [F32])
    return Value(x.builder, x.builder.call(function, [x.ir]))


def _log1p(x):
    """Emit a call of the C library's log1pf, as Numba's `math.log1p` does."""
    kind = ir.FunctionType(F32, [F32])
    function = cgutils.insert_pure_function(x.builder.module, kind, "log1pf")
    return Value(x.builder, x.builder.call(function, [x.ir]))


FUNCTIONS = Functions(_exp, _log1p)


def _element_loss(builder, code, *values):
    """Return (weighted loss, its derivative) of one output as an LLVM structure."""
    values = [Value(builder, value) for value in values]
    results = emit_element(builder, code, values, FUNCTIONS)
    return cgutils.pack_struct(builder, [result.ir for result in results])


@vector_code
def _element(builder, losses, sample, kind, z, place, t, weight, parameter, positive, scale):
    """losses[sample] += weighted loss of the output z[place]; dz overwrites z[place]."""
    at_z, at_loss = at(builder, z, place), at(builder, losses, sample, F64)
    output = load(builder, at_z, 1).ir
    # Not inlined: each loop around it would compile its own copy.
    pair, given = ir.LiteralStructType([F32, F32]), [kind, output, t, weight, parameter, positive]
    both = call_once(builder, "loss_of_an_element", pair, _element_loss, given)
    loss, gradient = cgutils.unpack_tuple(builder, both)
    total = builder.fadd(builder.load(at_loss, typ=F64), builder.fpext(loss, F64))
    builder.store(total, at_loss)
    store(builder, Value(builder, gradient) * Value(builder, scale), at_z)


@jit.helper
def _elements(losses, first_loss, z, z_at, n_outputs, batch, given, loss):
    """Compute losses of single outputs; the loss of a sample is their sum, in order."""
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
    """losses[at + s] = weighted loss of sample s of one panel, s < batch.samples; dz overwrites z
    and is 0 for s >= batch.samples. targets: a `Targets`; loss: a `Loss`; scratch: (2, S).
    """
    if loss.code == SOFTMAX:
        _softmax(losses, at, z, z_at, n_outputs, scratch, batch, targets, loss)
    else:
        _elements(losses, at, z, z_at, n_outputs, batch, targets, loss)
