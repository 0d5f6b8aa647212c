"""Every kernel of the CUDA backend compiles and assembles, without a GPU: no float64, no rounding
left to the compiler, no register spilled.
"""

import ctypes
import importlib.util

import cuda_kernels
import pytest

if importlib.util.find_spec("numba_cuda") is None:
    pytest.skip("numba-cuda is not installed: pip install '.[cuda13]'", allow_module_level=True)

REGISTERS = 65536  # of a multiprocessor
SHARED = 48 << 10  # bytes of a block, unless the launch requests more
# NVIDIA's library does not round float32 operation by operation.
USES_LIBRARY = {"fastsnn_softmax", "fastsnn_sigmoid"}


@pytest.fixture(scope="module")
def compiled():
    """Return the figures of all kernels."""
    return cuda_kernels.compiled()["facts"]


def names(facts):
    return sorted(f"{f['name']} sm_{f['architecture'][0]}{f['architecture'][1]}" for f in facts)


def test_all_kernels_were_compiled(compiled):
    kernels = list(cuda_kernels.every_kernel())
    assert len(kernels) > 250
    for architecture in cuda_kernels.ARCHITECTURES:
        assert kernels == sorted(
            f["name"] for f in compiled if tuple(f["architecture"]) == architecture
        )


def test_no_float64(compiled):
    assert names(f for f in compiled if f["double"]) == []


def test_every_operation_is_rounded_as_written(compiled):
    """`mul.f32` without a rounding mode may be fused with a sum by the assembler."""
    free = {f["name"]: f["free"] for f in compiled if f["free"] and "_narrow_" not in f["name"]}
    assert free.keys() <= USES_LIBRARY
    for f in narrow(compiled):  # only its losses
        assert f["free"] == sum(free.values()), f
    assert names(f for f in compiled if f["flushed"]) == []


def test_parameters_match_the_arguments_of_a_launch(compiled):
    """There is one for each argument: an address and an integer of 64 bits, a float32."""
    kinds = {"int64": "u64", "float32": "f32"}
    for f in compiled:
        assert f["parameters"] == [kinds.get(a, "u64") for a in f["arguments"]], f["name"]


def test_arguments_of_a_launch():
    from fastsnn.kernels.cuda import device

    class Array:
        device_ctypes_pointer = ctypes.c_size_t(1 << 40)

    flat = [device._flat(value) for value in (Array(), -3, 0.1)]
    assert flat[:2] == [1 << 40, -3] and all(type(value) is int for value in flat[:2])
    assert type(flat[2]) is ctypes.c_float


def test_nothing_is_spilled(compiled):
    assert names(f for f in compiled if f["spilled"] or f["reloaded"] or f["stack"]) == []


def test_registers_allow_a_block(compiled):
    for f in compiled:
        assert f["registers"] <= 255 and f["registers"] * f["threads"] <= REGISTERS, f


def test_products_are_fused_and_read_vectors(compiled):
    """depth x rows x columns of a thread: fused multiply-adds of one buffer, unrolled."""
    products = [f for f in compiled if f["name"].startswith(("fastsnn_dense_", "fastsnn_weights_"))]
    products = [f for f in products if "_sum_" not in f["name"]]
    products = [f for f in products if not cuda_kernels.TENSOR.search(f["name"])]
    for f in products:
        tile = next(t for t in cuda_shapes() if f"_{t.name}_" in f["name"])
        assert f["fused"] >= tile.depth * tile.accumulators, f
        assert f["vectors"] >= 2 * tile.depth, f
    assert len(products) > 100


def test_tensor_cores_are_used(compiled):
    """All instructions that a tile of the mode needs occur; operands are rounded once on their
    way to shared memory, written and read as vectors. In float32 there are none.
    """
    seen = set()
    for f in compiled:
        tile = next((t for t in tensor_tiles() if f"_{t.name}_" in f["name"]), None)
        if tile is None or "_sum_" in f["name"]:
            assert f["mma"] == 0 and f["rounded"] == [], f
            continue
        shape, rounding = {"tf32": ("k8", "rna.tf32"), "bf16": ("k16", "rn.bf16x2")}[tile.precision]
        steps, share = tile.depth // 8, (tile.rows + tile.columns) * tile.depth // tile.threads
        assert f["tensor"] == [shape + tile.precision] * (8 * steps * tile.vectors), f
        assert f["mma"] == len(f["tensor"]) and f["rounded"] == [rounding] * share, f
        assert f["words written"] == ["4"] * (share // 4), f
        if "_dense_" in f["name"]:  # the other kernel reads words for the bias gradient, too
            assert f["words read"] == steps * (2 + 2 * tile.vectors), f
        seen.add((tile, f["name"].split("_")[2], tuple(f["architecture"])))
    for tile in tensor_tiles():
        for architecture in cuda_kernels.ARCHITECTURES:
            assert {(tile, kind, architecture) for kind in ("forward", "backward")} <= seen


def tensor_tiles():
    from fastsnn.kernels.cuda import shape

    return [tile for tiles in shape.TENSOR.values() for tile in tiles]


def narrow(compiled):
    found = [f for f in compiled if f["name"].startswith("fastsnn_narrow_")]
    assert len(found) == 6
    return found


def test_the_narrow_schedule_fits_a_block(compiled):
    """Its products are unrolled and read vectors; all shared memory is static."""
    from fastsnn.kernels.cuda import passes

    for f in narrow(compiled):
        name = f["name"].removeprefix("fastsnn_narrow_")
        block = next(b for b in passes.ON_DEVICE if name == f"{b.columns}x{b.depth}")
        assert f["fused"] >= block.depth * block.accumulators, f
        assert f["vectors"] >= block.depth * block.samples_per_thread // 4, f
    assert all(f["shared"] <= SHARED for f in compiled)


def cuda_shapes():
    from fastsnn.kernels.cuda import shape

    return shape.ON_DEVICE
