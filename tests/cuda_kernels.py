"""Every kernel of the CUDA backend, by name; and what the compiler and the assembler make of it.
Run as a program it prints that for a part of them, as JSON.
"""

import json
import re
import sys

ARCHITECTURES = (8, 0), (9, 0)


def every_kernel():
    from fastsnn.kernels import codes
    from fastsnn.kernels.cuda import (
        activation,
        code,
        dense,
        elementwise,
        narrow,
        passes,
        program,
        shape,
        weights,
    )

    assert program
    for kind in codes.ACTIVATIONS.values():
        name = activation.NAMES[kind]
        for dropping in (False, True):
            elementwise.finish_kernel(kind, dropping)
            for tile in shape.ON_DEVICE:
                dense.forward_kernel(tile, kind, dropping)
        for mode in activation.modes(name):
            elementwise.backward_kernel(kind, mode)
            for tile in shape.ON_DEVICE:
                dense.backward_kernel(tile, kind, mode)
    for tile in shape.ON_DEVICE:
        for update in (codes.STORE, codes.SGD, codes.MOMENTUM, codes.NESTEROV, codes.ADAM):
            weights.weights_kernels(tile, update)
    for block in passes.ON_DEVICE:
        narrow.narrow_kernel(block)
    return dict(sorted(code.KERNELS.items()))


def chosen(architecture):
    """All kernels for the newest; for others one tile, and all tiles of a plain network."""
    everything = every_kernel()
    if architecture == ARCHITECTURES[-1]:
        return everything
    plain = re.compile(r"_(128x128|64x64)_(?!selu|none$|adam)")
    return {name: kernel for name, kernel in everything.items() if not plain.search(name)}


def facts(kernel, architecture):
    from fastsnn.kernels.cuda import code

    ptx = kernel.ptx(architecture)
    machine_code, log = code.assemble(ptx, architecture)
    numbers = {
        "stack": r"(\d+) bytes stack frame",
        "spilled": r"(\d+) bytes spill stores",
        "reloaded": r"(\d+) bytes spill loads",
        "registers": r"Used (\d+) registers",
    }
    head = ptx[ptx.index(f".entry {kernel.name}(") : ptx.index("{", ptx.index(".entry"))]
    return {
        "name": kernel.name,
        "arguments": kernel.arguments,
        "parameters": re.findall(r"\.param \.(\w+)", head),
        "architecture": architecture,
        "threads": kernel.threads,
        "double": len(re.findall(r"\.f64", ptx)),
        "flushed": len(re.findall(r"\.ftz", ptx)),  # denormal numbers become 0
        "free": len(re.findall(r"\b(?:add|sub|mul|mad)\.f32", ptx)),  # rounding left open
        "fused": len(re.findall(r"\bfma\.rn\.f32", ptx)),
        "shared": sum(map(int, re.findall(r"\.shared \.align \d+ \.b8 \w+\[(\d+)\]", ptx))),
        "vectors": len(re.findall(r"\bld\.shared\.v4\.f32", ptx)),
        "bytes": len(machine_code),
        **{key: int(re.search(pattern, log).group(1)) for key, pattern in numbers.items()},
    }


def main(part, parts):
    work = [(k, a) for a in ARCHITECTURES for k in chosen(a).values()]
    print(json.dumps([facts(*one) for one in work[part::parts]]))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
