"""Every kernel of the CUDA backend, by name; and what the compiler and the assembler make of it.
Run as a program it prints that for a part of them, as JSON.
"""

import json
import re
import sys

ARCHITECTURES = (8, 0), (9, 0)
TENSOR = re.compile(r"_\d+x\d+(tf32|bf16)_")
# Of an instruction: four results, four and two registers of operands, four sums.
MMA = re.compile(
    r"\bmma\.sync\.aligned\.m16n8(k\d+)\.row\.col\.f32\.(\w+)\.\2\.f32 "
    r"\{(?:%f\d+, ){3}%f\d+\}, \{(?:%r\d+, ){3}%r\d+\}, \{%r\d+, %r\d+\}, "
    r"\{(?:%f\d+, ){3}%f\d+\};"
)


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
    tiles = [tile for tiles in shape.TILES.values() for tile in tiles]
    for kind in codes.ACTIVATIONS.values():
        name = activation.NAMES[kind]
        for dropping in (False, True):
            elementwise.finish_kernel(kind, dropping)
            for tile in tiles:
                dense.forward_kernel(tile, kind, dropping)
        if name != "none":
            elementwise.backward_kernel(kind)
        for mode in activation.modes(name):
            for tile in tiles:
                dense.backward_kernel(tile, kind, mode)
    for tile in tiles:
        for update in (codes.STORE, codes.SGD, codes.MOMENTUM, codes.NESTEROV, codes.ADAM):
            weights.weights_kernels(tile, update)
    for block in passes.BLOCKS:
        narrow.narrow_kernel(block)
    return dict(sorted(code.KERNELS.items()))


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
        "tensor": [shape + kind for shape, kind in MMA.findall(ptx)],
        "mma": len(re.findall(r"\bw?g?mma\b", ptx)),
        "rounded": [kind for kind in re.findall(r"\bcvt\.(rna\.tf32|rn\.bf16x2)\.f32", ptx)],
        "words read": len(re.findall(r"\bld\.shared\.v4\.", ptx)),
        "words written": re.findall(r"\bst\.shared\.(?:v(\d)\.)?", ptx),
        "bytes": len(machine_code),
        **{key: int(re.search(pattern, log).group(1)) for key, pattern in numbers.items()},
    }


def main(part, parts):
    work = [(k, a) for a in ARCHITECTURES for k in every_kernel().values()]
    print(json.dumps([facts(*one) for one in work[part::parts]]))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
