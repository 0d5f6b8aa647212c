"""The kernels of the CPU and of CUDA have the same names and the same order of arguments."""

import ast
import importlib
import importlib.util
import inspect
import re
from pathlib import Path

import pytest

if importlib.util.find_spec("numba_cuda") is None:
    pytest.skip("numba-cuda is not installed: pip install '.[cuda13]'", allow_module_level=True)

KERNELS = Path(__file__).resolve().parents[1] / "kernels"

# Functions that every target has.
TWINS = {
    "activation_backward", "dense_forward", "dense_input_backward", "derive_weights", "drop_mask",
    "exponential", "exponential_minus_one", "finish_rows", "highway_backward", "highway_forward",
    "loss_and_gradient", "normalization_backward", "normalization_forward", "normalization_update",
    "philox_blocks", "run_backward", "run_directions", "run_forward", "run_weights", "signed64",
    "update_direction",
}  # fmt: skip
# Arguments of the CPU alone: panels, tiles, parts, and scalars of a step.
OF_CPU = {
    "at", "bits", "bits_at", "buffers", "constants_below", "count", "first", "first_panel",
    "first_row", "first_sample", "first_stage", "first_unit", "h", "h_at", "hyper", "last",
    "last_panel", "last_stage", "last_unit", "masks", "n", "n_outputs", "overflow", "part",
    "parts", "rows", "scale", "scratch", "seed", "space", "split", "step", "tile", "tile_at",
    "wide_panels", "work", "z", "z_at",
}  # fmt: skip
# Arguments of CUDA alone: arrays on the device, and launches.
OF_CUDA = {
    "acts", "below", "hypers", "jobs", "launch", "precision", "queue", "row", "samples", "size",
    "slots", "tiling",
}  # fmt: skip


def functions(target):
    """Return the public functions of all modules of a target: name -> parameters."""
    found = {}
    for path in sorted((KERNELS / target).glob("[a-z]*.py")):
        module = importlib.import_module(f"fastsnn.kernels.{target}.{path.stem}")
        defined = {n.name for n in ast.parse(path.read_text()).body if hasattr(n, "decorator_list")}
        for name in defined:
            value = getattr(module, name)
            value = getattr(value, "dispatcher", value)  # an Entry
            value = getattr(value, "py_func", value)
            if not name.startswith("_") and inspect.isfunction(value):
                found[name] = list(inspect.signature(value).parameters)
    return found


CPU, CUDA = functions("cpu"), functions("cuda")


def test_both_targets_have_all_functions():
    assert TWINS <= CPU.keys() and TWINS <= CUDA.keys()


@pytest.mark.parametrize("name", sorted(TWINS))
def test_arguments(name):
    cpu, gpu = CPU[name], CUDA[name]
    common = set(cpu) & set(gpu)
    assert [a for a in cpu if a in common] == [a for a in gpu if a in common]
    assert set(cpu) - common <= OF_CPU and set(gpu) - common <= OF_CUDA


def mentions(pattern):
    return {p.name for p in (KERNELS / "cuda").glob("*.py") if re.search(pattern, p.read_text())}


def test_numba_s_extension_interface_is_used_in_one_file():
    assert mentions(r"numba\.cuda\.extending|cuda\.jit|cuda\.compile|LinkerOptions") == {"code.py"}


def test_the_driver_is_called_in_one_file():
    driver = r"cuda\.(device_array|to_device|synchronize|gpus|current_context|select_device)"
    assert mentions(driver) | mentions(r"LaunchConfig|from_cubin|cudadrv") == {"device.py"}


def test_there_is_no_arithmetic_on_real_numbers_in_kernels():
    """Kernels contain no float literals: real arithmetic is device code (`real.py`, `tile.py`)."""
    for path in (KERNELS / "cuda").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and any(
                "kernel(" in ast.unparse(d) or "helper" in ast.unparse(d)
                for d in node.decorator_list
            ):
                constants = [n for n in ast.walk(node) if isinstance(n, ast.Constant)]
                assert not [n for n in constants if isinstance(n.value, float)], node.name
