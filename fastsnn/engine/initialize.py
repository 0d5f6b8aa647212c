"""Initial parameters of a network, from a documented random stream."""

import numpy as np

from fastsnn.engine.graph import Node
from fastsnn.engine.ops import OPS


def initialize(nodes: tuple[Node, ...], tensors: dict[str, np.ndarray], seed: int) -> None:
    """Write the initial parameters: weights by the `init` of their layer, biases 0 (highway gates:
    `gate_bias`), normalizations scale 1 and shift 0, lengths of weight normalization equal to the
    norms of their directions.

    The weight of dense node i (from 0) is drawn row by row from
    numpy.random.Generator(numpy.random.Philox(key)) with key = seed + 2**64 i. So it depends only
    on the seed, i, its shape and its `init`.
    """
    drawn = 0
    for node in nodes:
        op, generator = OPS[node.op], None
        if op.random:
            generator = np.random.Generator(np.random.Philox(key=seed + (drawn << 64)))
            drawn += 1
        op.start(node, tensors, generator)
