"""The accumulators of every tile stay in registers, for each shape that this LLVM can compile."""

import json
import os
import re
import subprocess
import sys

import pytest

# Compiles only the tiles and prints their assembly; {machine} is the name of the host.
COMPILE = """
import json, platform
machine = {machine!r}
platform.machine = lambda: machine
import llvmlite.binding as llvm
import numba
from numba.core import types
from fastsnn.kernels import jit
from fastsnn.kernels.cpu import shape, tile

def tiles(a, p, n):
    tile.forward_tile(a, p, a, p, n, a, p, a, p, p, n, n)
    tile.narrow_forward_tile(a, p, a, p, n, a, p, a, p, p, n, n)
    tile.input_gradient_tile(a, p, a, p, a, p, p, n, a, p)
    tile.weight_gradient_tile(a, a, p, n, a, p, n, n, a, p, n, a, n, n)
    tile.single_row_tile(a, p, a, p, a, p, n)

made = numba.njit(_nrt=False, **jit.FLAGS)(tiles)
made.compile((types.float32[::1], types.int64, types.int64))
(signature,) = made.signatures
text = made.inspect_asm(signature)
if machine == "aarch64":
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    ir = made.inspect_llvm(signature)
    triple = "aarch64-unknown-linux-gnu"
    ir = "\\n".join(l for l in ir.splitlines() if not l.startswith(("target ", "source_filename")))
    module = llvm.parse_assembly(f'target triple = "{{triple}}"\\n' + ir)
    target = llvm.Target.from_triple(triple).create_target_machine(cpu="neoverse-n1", opt=3)
    text = target.emit_assembly(module)
print(json.dumps(dict(lanes=shape.LANES, rows=shape.ROWS, vectors=shape.VECTORS, text=text)))
"""

FUSED = re.compile(r"^\s+(?:vfn?madd\w+ps|fmla)\b", re.M)
# A vector register and the stack in one instruction; addresses may be kept on the stack.
STACK = re.compile(r"^(?=.*%[xyz]mm).*\(%rsp|^\s+(?:ldr|str|ldp|stp)\s+q\d.*\[sp\b", re.M)


def compiled(machine="x86_64", **environment):
    done = subprocess.run(
        [sys.executable, "-c", COMPILE.format(machine=machine)],
        env=os.environ | environment, capture_output=True, text=True,
    )  # fmt: skip
    if machine == "aarch64" and "No available targets" in done.stderr:
        pytest.skip("this LLVM compiles for no other processor")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def hot_blocks(text, least):
    """Return straight-line code, from label to label, with at least `least` multiply-adds."""
    blocks = re.split(r"^[.\w$]+:.*$", text, flags=re.M)
    return [block for block in blocks if len(FUSED.findall(block)) >= least]


@pytest.mark.parametrize(
    "name, machine, lanes, rows, environment",
    [
        ("AVX2", "x86_64", 8, 6, {"NUMBA_CPU_NAME": "haswell"}),
        ("AVX-512", "x86_64", 16, 8, {"NUMBA_CPU_NAME": "skylake-avx512"}),
        ("NEON", "aarch64", 4, 8, {"NUMBA_CPU_NAME": "x86-64-v2"}),
    ],
)
def test_no_accumulator_is_spilled(name, machine, lanes, rows, environment):
    if name != "NEON" and os.uname().machine != "x86_64":
        pytest.skip(f"{name} is compiled on x86-64 only")
    features = {
        "AVX2": "+avx,+avx2,+fma",
        "AVX-512": "+avx,+avx2,+fma,+avx512f,+avx512vl,+avx512dq,+avx512bw",
        "NEON": "",
    }[name]
    found = compiled(machine, **environment, NUMBA_CPU_FEATURES=features)
    assert (found["lanes"], found["rows"]) == (lanes, rows)
    accumulators = rows * found["vectors"]
    hot = hot_blocks(found["text"], accumulators)
    assert len(hot) >= 4  # forward, narrow, input gradient, weight gradient
    for block in hot:
        assert not STACK.search(block), block


def test_a_spill_would_be_seen():
    spilled = "loop:\n" + "\tvfmadd231ps\t%ymm0, %ymm1, %ymm2\n" * 12
    assert len(hot_blocks(spilled, 12)) == 1 and not STACK.search(spilled)
    assert STACK.search("\tvmovups\t%ymm3, 64(%rsp)\n")
    assert STACK.search("\taddq\t$1, %rax\n\tvfmadd231ps\t(%rsp), %zmm1, %zmm2\n")
    assert not STACK.search("\tmovq\t64(%rsp), %rax\n\tvaddps\t%ymm0, %ymm1, %ymm2\n")
    assert STACK.search("\tstr\tq0, [sp, #16]\n")
