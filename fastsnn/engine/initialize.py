"""Starting weights, from a documented stream."""

import numpy as np

from fastsnn.engine.graph import Node
from fastsnn.engine.ops import OPS


def initialize(nodes: tuple[Node, ...], tensors: dict[str, np.ndarray], seed: int) -> None:
    """Fill weights by the `init` of their layer, biases with 0; normalizations start as the
    identity on normalized numbers, lengths of directions as the directions' own.

    The weight of dense node number i (from 0) comes row by row from
    numpy.random.Generator(numpy.random.Philox(key)) with key = seed + 2**64 i: it depends on the
    seed, on i, on its shape and its `init` alone.
    """
    drawn = 0
    for node in nodes:
        op, generator = OPS[node.op], None
        if op.random:
            generator = np.random.Generator(np.random.Philox(key=seed + (drawn << 64)))
            drawn += 1
        op.start(node, tensors, generator)
