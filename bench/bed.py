"""Kernels of a training step, called one by one on the buffers of a real network."""

from __future__ import annotations

import numpy as np

import fastsnn as fs
from fastsnn.checks.inputs import NO_INTEGERS, NO_NUMBERS, NO_TARGETS
from fastsnn.engine.cpu import TrainingEngine, load_kernels
from fastsnn.engine.layout import aligned_zeros
from fastsnn.losses import loss_of

from ..kernels.cpu import program
from ..kernels.cpu.arguments import Batch, Buffers, Loss, Masks, Part, Program, Targets

SEED, STEP = 7, 3
MASKS = Masks(0, STEP, SEED)
ONE_PART = 0, 0, 1  # split, part, parts: one part runs everything


class Bed:
    """A network and one batch: `layers` hidden layers of `width` units and `outputs` outputs.

    The number of inputs is `inputs`, by default `width`. One thread. x: (batch, inputs); y:
    classes, or targets (batch, outputs).
    """

    def __init__(
        self, width, batch, rate=0.0, outputs=10, loss="softmax_cross_entropy", layers=2,
        inputs=None, state=2,
    ):  # fmt: skip
        load_kernels(1)
        rng = np.random.default_rng(1)
        self.batch, self.rate, self.loss = batch, rate, loss
        self.network = fs.mlp(inputs or width, outputs, layers, width, rate)
        self.x = rng.standard_normal((batch, inputs or width), dtype=np.float32)
        self.y = rng.integers(0, outputs, batch)
        if loss == "sigmoid_cross_entropy":
            self.y = rng.integers(0, 2, (batch, outputs)).astype(np.float32)
        elif loss == "mse":
            self.y = rng.standard_normal((batch, outputs), dtype=np.float32)
        self.flat = aligned_zeros(self.network.layout.size)  # kernels change this copy
        self.flat[:] = self.network.buffer.snapshot()
        self.engine = TrainingEngine(self.network.nodes, self.network.buffer, 1, state)
        self.engine.reserve(batch)
        self.layers = len(self.network.nodes)

    def _program(self, parameters=None):
        plan = self.engine.plan
        params = self.flat if parameters is None else parameters
        return Program(plan.table, plan.constants, params)

    def _buffers(self):
        return Buffers(self.engine.acts, self.engine.bits, self.engine.work[0])

    def forward(self, first, last, training=1):
        batch, part = Batch(NO_INTEGERS, 0, self.batch), Part(first, last, *ONE_PART)
        program.run_forward(self._program(), self._buffers(), self.x, batch, part, MASKS, training)

    def backward(self, first, last):
        e = self.engine
        loss = loss_of(self.loss)
        softmax = loss.takes_classes
        labels, targets = (self.y, NO_TARGETS) if softmax else (NO_INTEGERS, self.y)
        scale = np.float32(1 / (self.batch if softmax else self.y.size))
        program.run_backward(
            e.losses, self._program(), self._buffers(), Batch(e.rows, 0, self.batch),
            Targets(labels, targets, NO_NUMBERS, NO_NUMBERS), Part(first, last, *ONE_PART), MASKS,
            Loss(loss._code, np.float32(loss._parameter), scale),
        )  # fmt: skip

    def weights(self, update, hyper, parameters=None):
        hypers = np.zeros_like(self.engine.hypers[0])
        hypers[: len(hyper)] = hyper
        program.run_weights(
            self._program(parameters), self.engine.state, self._buffers(), hypers, update,
            self.batch, 0, 1,
        )  # fmt: skip

    def everything(self):
        """Run forward and backward from the start; `hidden(r)` then returns dz of layer r."""
        self.forward(0, self.layers + 1)
        self.backward(0, self.layers)

    def hidden(self, r):
        """Return layer r from its buffer, (batch, units)."""
        return self.engine.plan.hidden(r, self.engine.acts, self.batch)

    def tensors(self, flat=None):
        """Return (weight, bias) of each layer in float64."""
        views = self.network.layout.views(self.flat if flat is None else flat)
        return [
            (views[n.weight].astype(np.float64), views[n.bias].astype(np.float64))
            for n in self.network.nodes
        ]
