"""Starting weights, from a documented stream."""

import numpy as np

from fastsnn.graph import Node


def lecun_normal(nodes: tuple[Node, ...], tensors: dict[str, np.ndarray], seed: int) -> None:
    """Fill weights with N(0, 1 / fan_in) and biases with 0 (Klambauer et al. 2017, section
    "Initialization").

    The weight of node number i (from 0) comes row by row from
    numpy.random.Generator(numpy.random.Philox(key)) with key = seed + 2**64 i: it depends on the
    seed, on i and on its shape alone.
    """
    for i, node in enumerate(nodes):
        generator = np.random.Generator(np.random.Philox(key=seed + (i << 64)))
        weight = tensors[node.weight]
        generator.standard_normal(dtype=np.float32, out=weight)
        weight *= np.float32(node.fan_in**-0.5)
        tensors[node.bias][:] = 0
