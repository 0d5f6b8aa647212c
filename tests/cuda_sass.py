"""Floating-point comparisons in the machine code of kernels, from nvdisasm, without a GPU.

A comparison whose result depends on NaN must be in the machine code as written: the assembler may
replace `|a| >= 0` by true, and `z < 0 ? 0 : z` by max(z, 0).
"""

import importlib.metadata
import re
import subprocess
import tempfile
from pathlib import Path

TILE = re.compile(r"_\d+x\d+(tf32|bf16)?_")
SMALLEST = re.compile(r"_32x32(tf32|bf16)?_")
SECTION = re.compile(r"^//-+ \.text\.(\S+) +-+$", re.M)
INSTRUCTION = re.compile(r"/\*[0-9a-f]{4,}\*/\s+(?:@!?U?P\w+\s+)?([A-Z][\w.]*)\s*(.*?)\s*;")
COMPARING = re.compile(r"(FSETP|FSET|FMNMX3?|[DH]SETP2?|[DH]MNMX2?)\b")
LOADS = re.compile(r"(LDG|LDS|LD)\b")


def watched(name):
    """Return False for kernels with larger tiles, which treat each element alike."""
    return not TILE.search(name) or bool(SMALLEST.search(name) and "_dense_" in name)


def small(name):
    """Return True for kernels that compile within a second."""
    return not TILE.search(name) and "_narrow_" not in name


def tried_kernels():
    """Return a kernel for each operation whose result depends on NaN, and for each use of the
    result. Call it after the kernels of the backend have been created.
    """
    from numba import cuda

    from fastsnn.kernels import activations, scalar
    from fastsnn.kernels.cuda import real
    from fastsnn.kernels.cuda.code import FLOATS, INT, INTS, KERNELS, helper, kernel

    known = set(KERNELS)

    def condition(name, holds):
        @kernel(f"try_{name}_counted", 32, INTS, FLOATS, FLOATS, INT)
        def count(out, x, y, n):
            counted = 0
            for i in range(n):
                if holds(x[i], y[i]):
                    counted += 1
            out[cuda.threadIdx.x] = counted

        @kernel(f"try_{name}_chosen", 32, FLOATS, FLOATS, FLOATS)
        def choose(out, x, y):
            i = cuda.grid(1)
            out[i] = x[i] if holds(x[i], y[i]) else y[i]

        @kernel(f"try_{name}_branched", 32, FLOATS, FLOATS, FLOATS)
        def branch(out, x, y):
            i = cuda.grid(1)
            if holds(x[i], y[i]):
                out[i] = real.log1p(y[i])

    def value(name, made):
        @kernel(f"try_{name}", 32, FLOATS, FLOATS, FLOATS)
        def store(out, x, y):
            i = cuda.grid(1)
            out[i] = made(x[i], y[i])

    condition("is_number", helper(lambda a, b: real.is_number(a)))
    condition("is_finite", helper(lambda a, b: real.is_finite(a)))
    condition("above", real.greater)
    value("larger", real.maximum)
    value("exponential", helper(lambda a, b: real.exp_nonpositive(a)))
    elements = {"sigmoid": scalar.sigmoid}
    for name, row in activations.ACTIVATIONS.items():
        elements |= {name: row.function, f"{name}_slope": row.slope}
    for name, function in elements.items():
        constants = 2 * ("selu" in name)
        value(name, real._operation(lambda a, b, f=function, n=constants: f(a, *[b] * n)))
    return [one for name, one in KERNELS.items() if name not in known]


def nvdisasm():
    """Return the path of nvdisasm, or None."""
    try:
        files = importlib.metadata.files("nvidia-cuda-nvdisasm") or []
    except importlib.metadata.PackageNotFoundError:
        return None
    return next((str(file.locate()) for file in files if file.name == "nvdisasm"), None)


def disassembled(texts, architecture):
    """Map names of kernels to instructions [(operation, operands)]. texts: PTX by name. All are
    linked into one file, since the disassembler takes a second to start.
    """
    from cuda.core import Linker, LinkerOptions, ObjectCode

    options = LinkerOptions(arch="sm_{}{}".format(*architecture))
    objects = [ObjectCode.from_ptx(text.encode()) for text in texts.values()]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "kernels.cubin")
        path.write_bytes(bytes(Linker(*objects, options=options).link("cubin").code))
        command = [nvdisasm(), "--print-code", "--no-dataflow", str(path)]
        run = subprocess.run(command, capture_output=True, text=True, check=True)
    sections = SECTION.split(run.stdout)[1:]
    codes = dict(zip(sections[::2], sections[1::2], strict=True))
    return {name: INSTRUCTION.findall(codes[name]) for name in texts}


def comparisons_of(texts, architecture):
    """Return the `comparisons` of each kernel; none without a disassembler."""
    if nvdisasm() is None:
        return {}
    return {name: comparisons(code) for name, code in disassembled(texts, architecture).items()}


def plain(operand):
    """Return an operand without register numbers."""
    return re.sub(r"\bU?R\d+\b", "R", operand)


def comparisons(instructions):
    """Return [operation, left, right, whether both are the same register, whether it was loaded
    from memory] of each comparison. Those that flush denormal numbers are left out: they belong to
    NVIDIA's division and square root.
    """
    found = []
    for i, (operation, text) in enumerate(instructions):
        if not COMPARING.match(operation) or ".FTZ" in operation:
            continue
        operands = [o.strip().replace(".reuse", "") for o in text.split(",")]
        left, right = [o for o in operands if not re.match(r"!?U?P[\dT]", o)][-2:]
        here = left == right, loaded(instructions[:i], left)
        found.append([operation, plain(left), plain(right), *here])
    return found


def loaded(before, operand):
    """Return True if the last of the instructions that writes the register loads from memory."""
    register = re.fullmatch(r"[-|]*R(\d+)\|?", operand)
    if not register:
        return False
    for operation, text in reversed(before):
        target = re.match(r"R(\d+)\b", text)
        wide = re.search(r"\.(64|128)\b", operation)
        words = int(wide.group(1)) // 32 if wide else 1
        if target and 0 <= int(register.group(1)) - int(target.group(1)) < words:
            return bool(LOADS.match(operation))
    return False
