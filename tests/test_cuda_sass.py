"""Comparisons that detect NaN in the machine code of the CUDA kernels: the assembler may replace
one by true, or by one that is true for NaN. For compute capabilities 8.0 and 9.0; kernels that
compile fast also for 10.0.
"""

import importlib.util
import re

import cuda_kernels
import cuda_sass
import pytest

from fastsnn.kernels import activations, updates

if importlib.util.find_spec("numba_cuda") is None or cuda_sass.nvdisasm() is None:
    pytest.skip("no disassembler: pip install '.[dev-cuda]'", allow_module_level=True)

# Comparisons that may implement a comparison of the source: itself or its negation. GEU is "not
# less", true for NaN.
SENSES = {
    "is number": (("NAN", "NUM"), "R", "R"),
    "is finite": (("LT", "GEU", "NE", "EQU"), "|R|", "+INF"),
    "positive": (("GT", "LEU"), "R", "RZ"),
    "negative": (("LT", "GEU"), "R", "RZ"),
    "above": (("GT", "LEU", "LT", "GEU"), "R", "R"),
    "size above": (("GT", "LEU"), "|R|", "R"),
    "within 15": (("GT", "LEU"), "R", "15"),
    "within 120": (("GT", "LEU"), "R", "120"),
    "exp of -|x|": (("GT", "LEU"), "|R|", "104"),  # "exp" with both signs inverted
    # Directions of normalized weights: see SHORTEST and LONGEST in kernels/scalar.py.
    "direction": (("LT", "GEU"), "|R|", "9.99999986991104000000e+14"),
    "not too long": (("LT", "GEU"), "R", "1.00000001504746621988e+30"),
    "not too short": (("GT", "LEU"), "R", "1.000000003171076851e-30"),
}
DIRECTIONS = ["is finite", "direction", "not too long", "not too short"]
# Lower bounds that clamp the argument of the function, unless it is NaN.
LEAST = {"exp": "-104", "exp - 1": "-32", "within -15": "-15", "within -120": "-120"}
# Comparisons in y and dy/dz of activations whose slope is computed from z.
SMOOTH = {
    "gelu": ["positive", "exp", "within 15", "within -15"],
    "gelu_tanh": ["positive", "exp of -|x|", "within 15", "within -15"],
    "mish": ["positive", "exp of -|x|", "within 120", "within -120"],
}
PLACES = "finish", "activation_backward", "dense_forward", "dense_backward", "try"
# Comparisons in the source of kernels, by prefixes of kernel names.
WRITTEN = {
    "total_weight": ["is number", "positive"],
    "mean_loss": ["is finite", "above"],
    "sigmoid": ["is number", "positive", "exp"],
    "softmax": ["is number", "above", "exp"],
    "huber": ["size above"],
    "quantile": ["positive", "negative"],
    "narrow": ["is number", "above", "size above", "positive", "negative", "exp", "exp - 1"],
    "exponential": ["exp"],
    "exponential_minus_one": ["exp - 1"],
    "finish_relu": ["negative"],
    "finish_selu": ["positive", "exp - 1"],
    "finish_tanh": ["exp - 1"],
    "activation_backward_relu": ["positive"],
    "activation_backward_selu": ["positive"],
    "highway_forward": ["negative", "positive", "exp"],
    "highway_backward": ["positive"],
    "dense_forward_relu": ["negative"],
    "dense_forward_selu": ["positive", "exp - 1"],
    "dense_forward_tanh": ["exp - 1"],
    "dense_backward_relu": ["positive"],
    "dense_backward_selu": ["positive"],
    **{
        f"direction_update_{row.name}": DIRECTIONS for row in updates.UPDATES if row.name != "store"
    },
    "direction_update_lion": [*DIRECTIONS, "positive", "negative"],
    **{f"{place}_{name}": written for place in PLACES for name, written in SMOOTH.items()},
    "norm_update": ["is finite"],
    "try_is_number": ["is number"],
    "try_is_finite": ["is finite"],
    "try_above": ["above"],
    "try_larger": ["above", "is number"],
    "try_exponential": ["exp"],
    "try_relu": ["negative"],
    "try_relu_slope": ["positive"],
    "try_selu": ["positive", "exp - 1"],
    "try_selu_slope": ["positive"],
    "try_tanh": ["exp - 1"],
    "try_tanh_slope": [],
    "try_sigmoid": ["positive", "exp"],
}
LOGARITHMS = "sigmoid", "softmax", "narrow", "try_"  # NVIDIA's library compares in them
# Kernels whose labels and features are compared right after the load.
READ = "total_weight", "try_is_number", "try_is_finite"


@pytest.fixture(scope="module")
def compared():
    """(kernel, compute capability) -> its comparisons."""
    found = cuda_kernels.compiled()["compared"]
    assert len(found) > 200
    return {
        (one["name"].removeprefix("fastsnn_"), tuple(one["architecture"])): one["comparisons"]
        for one in found
    }


def is_one(comparison, written):
    operation, left, right, same, _ = comparison
    kind, *more = operation.split(".")
    if written in LEAST:
        return right == LEAST[written] and (
            (kind in ("FMNMX", "FMNMX3") and "NAN" in more)
            or (kind == "FSETP" and more[0] in ("LT", "GEU"))
        )
    senses, *operands = SENSES[written]
    if kind != "FSETP" or more[0] not in senses or [left, right] != operands:
        return False
    return same == (written == "is number")


def beginning(name):
    """Return the longest prefix in WRITTEN of a kernel's name, or None."""
    plain = re.sub(r"_\d+x\d+(tf32|bf16)?", "", name)
    begins = [begin for begin in WRITTEN if re.match(rf"{begin}(_|$)", plain)]
    return max(begins, key=len, default=None)


def test_each_comparison_is_present(compared):
    seen = set()
    for (name, architecture), comparisons in compared.items():
        begin = beginning(name)
        seen.add(begin)
        for written in WRITTEN.get(begin, []):
            found = [one for one in comparisons if is_one(one, written)]
            others = sorted({" ".join(one[:3]) for one in comparisons})
            assert found, f"{name} {architecture}: no {written!r} in {others}"
            if name.startswith(READ) and written in ("is number", "is finite"):
                assert all(read for *_, read in found), (name, architecture)
    assert seen == {*WRITTEN, None}


def test_there_is_no_other_comparison(compared):
    """The source has only <, > and NaN tests. Any >= or <= would come from the assembler and be
    wrong for NaN; so would max, since max(a, NaN) is a.
    """
    for (name, architecture), comparisons in compared.items():
        known = [*SENSES, *LEAST]
        for one in comparisons:
            operation, left, right, *_ = one
            if name.startswith(LOGARITHMS) and of_library(operation, right):
                continue
            if name.startswith(("sigmoid", "narrow")) and [operation, left] == ["FMNMX", "RZ"]:
                continue  # max(0, z) in the source
            assert any(is_one(one, written) for written in known), (name, architecture, one)


def of_library(operation, right):
    return operation.startswith("FSETP.") and (
        right == "1.175494350822287508e-38" or (right == "RZ" and ".NEU." in operation)
    )


def test_all_architectures(compared):
    for architecture in (*cuda_kernels.ARCHITECTURES, cuda_kernels.LATER):
        kernels = {name for name, a in compared if a == architecture}
        assert {"total_weight", "mean_loss", "sigmoid", "softmax", "finish_selu"} <= kernels
        # Three for each of three conditions; larger, exponential and sigmoid; function and slope of
        # each activation.
        tried = 3 * 3 + 3 + 2 * len(activations.CODES)
        assert sum(name.startswith("try_") for name in kernels) == tried
