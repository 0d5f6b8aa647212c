"""Every kernel of the CUDA backend, by name; figures about its PTX and machine code. Run as a
program, it prints the figures of a part of the kernels as JSON.
"""

import functools
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import cuda_sass
import filelock

PARTS = 2
ARCHITECTURES = (8, 0), (9, 0)
LATER = 10, 0  # only for the machine code of the small kernels
TENSOR = re.compile(r"_\d+x\d+(tf32|bf16)_")
# An instruction: four results, four and two registers of operands, four accumulators.
MMA = re.compile(
    r"\bmma\.sync\.aligned\.m16n8(k\d+)\.row\.col\.f32\.(\w+)\.\2\.f32 "
    r"\{(?:%f\d+, ){3}%f\d+\}, \{(?:%r\d+, ){3}%r\d+\}, \{%r\d+, %r\d+\}, "
    r"\{(?:%f\d+, ){3}%f\d+\};"
)


# Compiled for all tiles: the most common kernels, and those that need most registers. To save
# time, others are compiled for the largest tile of each precision and the smallest of all.
IN_ALL_TILES = {"selu", "gelu", "store", "sgd", "adam", "nadam"}


def every_kernel():
    """Return the kernels by name; in the simulator all, since each precision has one tile there."""
    from fastsnn.kernels import activations, updates
    from fastsnn.kernels.cuda import (
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
    few = [tiles[0] for tiles in shape.TILES.values()]
    few += [tile for tile in shape.TILES["float32"][-1:] if tile not in few]

    def tiles_of(name):
        return tiles if name in IN_ALL_TILES else few

    for name, kind in activations.CODES.items():
        for dropping in (False, True):
            elementwise.finish_kernel(kind, dropping)
            for tile in tiles_of(name):
                dense.forward_kernel(tile, kind, dropping)
        if name != "none":
            elementwise.backward_kernel(kind)
        for mode in activations.backward_modes(name):
            for tile in tiles_of(name):
                dense.backward_kernel(tile, kind, mode)
    for update, row in enumerate(updates.UPDATES):
        for tile in tiles_of(row.name):
            weights.weights_kernels(tile, update)
    for block in passes.BLOCKS:
        narrow.narrow_kernel(block)
    return dict(sorted(code.KERNELS.items()))


@functools.cache
def compiled():
    """Return the output of `main` for all kernels. It takes minutes and runs once for all tests,
    even if pytest runs them in several processes.
    """
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID")
    if run is None:
        return _compiled()
    path = Path(tempfile.gettempdir(), f"fastsnn-compiled-{run}.json")
    with filelock.FileLock(f"{path}.lock"):
        if not path.exists():
            path.write_text(json.dumps(_compiled()))
        return json.loads(path.read_text())


def _compiled():
    """Return the output of `main`, from PARTS concurrent processes."""
    environment = os.environ | {"NUMBA_ENABLE_CUDASIM": "0"}
    running = [
        subprocess.Popen(
            [sys.executable, __file__, str(part)], env=environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=Path(__file__).parents[1],
        )
        for part in range(PARTS)
    ]  # fmt: skip
    outputs = [process.communicate() for process in running]
    for process, (_, errors) in zip(running, outputs, strict=True):
        assert process.returncode == 0, errors[-3000:]
    printed = [json.loads(out.splitlines()[-1]) for out, _ in outputs]
    return {key: [one for part in printed for one in part[key]] for key in printed[0]}


def facts(kernel, architecture, ptx):
    from fastsnn.kernels.cuda import code

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
        "flushed": len(re.findall(r"\.ftz", ptx)),  # flush denormal numbers to 0
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


def main(part):
    """Print figures of a part of the kernels, and the comparisons in their machine code; these only
    for one tile of each kernel.
    """
    every = every_kernel().values()
    tried = cuda_sass.tried_kernels()
    work = [(k, a, True) for a in ARCHITECTURES for k in every]
    work += [(k, a, False) for a in ARCHITECTURES for k in tried]
    work += [(k, LATER, False) for k in (*every, *tried) if cuda_sass.small(k.name)]
    found, texts = [], {}
    for kernel, architecture, with_facts in work[part::PARTS]:
        ptx = kernel.ptx(architecture)
        if with_facts:
            found.append(facts(kernel, architecture, ptx))
        if cuda_sass.watched(kernel.name):
            texts.setdefault(architecture, {})[kernel.name] = ptx
    compared = [
        {"name": name, "architecture": architecture, "comparisons": comparisons}
        for architecture, ptx in texts.items()
        for name, comparisons in cuda_sass.comparisons_of(ptx, architecture).items()
    ]
    print(json.dumps({"facts": found, "compared": compared}))


if __name__ == "__main__":
    main(int(sys.argv[1]))
