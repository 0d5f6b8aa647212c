"""Starting weights, from a documented stream."""

import numpy as np

from fastsnn.engine.graph import Node


def initialize(nodes: tuple[Node, ...], tensors: dict[str, np.ndarray], seed: int) -> None:
    """Fill weights by the `init` of their layer, biases with 0; normalizations begin as the
    identity on normalized numbers, lengths of directions as the directions' own.

    The weight of dense node number i (from 0) comes row by row from
    numpy.random.Generator(numpy.random.Philox(key)) with key = seed + 2**64 i: it depends on the
    seed, on i, on its shape and its `init` alone.
    """
    dense = [node for node in nodes if node.op == "dense"]
    for i, node in enumerate(dense):
        generator = np.random.Generator(np.random.Philox(key=seed + (i << 64)))
        weight = tensors[f"{node.weight}_v" if node.weight_norm else node.weight]
        if node.init == "glorot_uniform":
            generator.random(dtype=np.float32, out=weight)
            weight -= np.float32(0.5)
            units = node.fan_out if node.gate_bias is None else node.fan_out // 2
            weight *= np.float32(2 * (6 / (node.fan_in + units)) ** 0.5)
        else:
            generator.standard_normal(dtype=np.float32, out=weight)
            deviation = node.fan_in**-0.5
            weight *= np.float32(deviation * 2**0.5 if node.init == "he_normal" else deviation)
        if node.weight_norm:
            length = np.sqrt((weight.astype(np.float64) ** 2).sum(1, keepdims=True))
            tensors[f"{node.weight}_g"][:] = length
        bias = tensors[node.bias]
        bias[:] = 0
        if node.gate_bias is not None:
            bias[node.fan_out // 2 :] = node.gate_bias
    for node in nodes:
        if node.op in ("batch_norm", "layer_norm"):
            tensors[node.weight][:], tensors[node.bias][:] = 1, 0
        if node.op == "batch_norm":
            tensors[f"{node.name}.running_mean"][:] = 0
            tensors[f"{node.name}.running_var"][:] = 1
