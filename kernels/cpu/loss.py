"""Losses on panels of outputs: the loss of each sample, and dz in place of the outputs.

The caller sums the samples in their order: bits depend neither on threads nor on the panel's size.
"""

import math

import numpy as np

from .. import jit
from ..codes import SIGMOID, SOFTMAX
from .activation import exp_vectors
from .shape import PANEL, VECTORS

ZERO, ONE = np.float32(0), np.float32(1)


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
        if kind == SOFTMAX:
            if class_weight.size:
                weight *= class_weight[labels[row]]
            total += weight
        elif kind == SIGMOID:
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


@jit.helper
def _sigmoid(
    losses, at, z, z_at, n_tasks, first, count, index, targets, sample_weight, class_weight, scale
):
    """loss = (1 - t) log(1 + exp(z)) + c t log(1 + exp(-z)), c the task's weight of positives; t
    NaN: no label
    """
    losses[at : at + count] = 0
    for task in range(n_tasks):
        positive = class_weight[task] if class_weight.size else ONE
        for s in range(PANEL):
            place = z_at + task * PANEL + s
            v, t, dz = z[place], ZERO, ZERO
            if s < count:
                row = index[first + s]
                t = targets[row, task]
                if not math.isnan(t):
                    weight = sample_weight_of(sample_weight, row)
                    e = math.exp(-abs(v))
                    yes, no = (ONE, e) if v >= ZERO else (e, ONE)  # sigmoid is yes / (yes + no)
                    common = math.log1p(e)
                    if_zero = common + (v if v >= ZERO else ZERO)
                    if_one = common + (ZERO if v >= ZERO else -v)
                    losses[at + s] += weight * ((ONE - t) * if_zero + positive * t * if_one)
                    dz = ((ONE - t) * yes - positive * t * no) / (ONE + e) * weight * scale
            z[place] = dz


@jit.helper
def _mse(losses, at, z, z_at, n_outputs, first, count, index, targets, sample_weight, scale):
    """loss = (z - t)^2"""
    losses[at : at + count] = 0
    for j in range(n_outputs):
        for s in range(PANEL):
            place = z_at + j * PANEL + s
            dz = ZERO
            if s < count:
                row = index[first + s]
                weight = sample_weight_of(sample_weight, row)
                difference = z[place] - targets[row, j]
                losses[at + s] += weight * difference * difference
                dz = (difference + difference) * weight * scale
            z[place] = dz


@jit.helper
def loss_and_gradient(
    losses, at, kind, z, z_at, n_outputs, scratch, first, count, index, labels, targets,
    sample_weight, class_weight, scale,
):  # fmt: skip
    """losses[at + s] = weighted loss of sample s of one panel, s < count; z becomes dz, 0 for
    samples beyond.
    """
    if kind == SOFTMAX:
        _softmax(
            losses, at, z, z_at, n_outputs, scratch, first, count, index, labels, sample_weight,
            class_weight, scale,
        )  # fmt: skip
    elif kind == SIGMOID:
        _sigmoid(
            losses, at, z, z_at, n_outputs, first, count, index, targets, sample_weight,
            class_weight, scale,
        )  # fmt: skip
    else:
        _mse(losses, at, z, z_at, n_outputs, first, count, index, targets, sample_weight, scale)
