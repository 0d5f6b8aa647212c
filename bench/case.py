"""The measured networks: a case is LAYERSxWIDTHxBATCHxRATE.

LAYERS hidden layers of WIDTH units (dense, SELU, alpha-dropout that drops with probability RATE),
784 inputs, 10 classes, softmax cross-entropy, float32, random data.
"""

from __future__ import annotations

from dataclasses import dataclass

import click
import numpy as np

INPUTS, CLASSES = 784, 10


@dataclass(frozen=True)
class Case:
    layers: int
    width: int
    batch: int
    rate: float = 0.0
    inputs: int = INPUTS

    @classmethod
    def parse(cls, text: str) -> Case:
        """Parse "32x256x128x0.05", followed by xINPUTS if the number of inputs is not 784.

        Raises ValueError if the text is not a case.
        """
        parts = text.split("x")
        try:
            numbers = [*map(int, parts[:3]), *map(float, parts[3:4]), *map(int, parts[4:])]
            case = cls(*numbers)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"{text}: a case is LAYERSxWIDTHxBATCH[xRATE[xINPUTS]], such as 32x256x128x0.05"
            ) from error
        if min(case.layers, case.width, case.batch, case.inputs) < 1 or not 0 <= case.rate < 1:
            raise ValueError(f"{text}: sizes of at least 1 and a rate in [0, 1) are required")
        return case

    def __str__(self):
        text = f"{self.layers}x{self.width}x{self.batch}x{self.rate:g}"
        return text if self.inputs == INPUTS else f"{text}x{self.inputs}"

    @property
    def sizes(self) -> list[int]:
        return [self.inputs, *[self.width] * self.layers, CLASSES]

    @property
    def weights(self) -> list[int]:
        """Return the number of elements in the weight matrices."""
        return [a * b for a, b in zip(self.sizes, self.sizes[1:], strict=False)]

    def step_flops(self) -> int:
        """Return the floating-point operations of a step's three products. The first layer has no
        input gradient.
        """
        return 2 * self.batch * (3 * sum(self.weights) - self.weights[0])

    def predict_flops(self) -> int:
        return 2 * self.batch * sum(self.weights)

    def weight_bytes(self) -> int:
        """Return the bytes of the weights and biases: the least that a prediction must read."""
        return 4 * (sum(self.weights) + sum(self.sizes[1:]))

    def data(self) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(0)
        x = rng.standard_normal((self.batch, self.inputs), dtype=np.float32)
        return x, rng.integers(0, CLASSES, self.batch)


class CaseType(click.ParamType):
    name = "case"

    def convert(self, value, param, ctx):
        if isinstance(value, Case):
            return value
        try:
            return Case.parse(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)
