"""The CUDA backend without a GPU: its tests in the simulator, and its error messages."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import commands
import numpy as np
import pytest

import fastsnn as fs
from fastsnn.engine import device

NUMBA_CUDA = importlib.util.find_spec("numba_cuda") is not None
needs_numba_cuda = pytest.mark.skipif(
    not NUMBA_CUDA, reason="numba-cuda is not installed: pip install '.[cuda13]'"
)
TESTS = Path(__file__).parent
SIMULATED = "simulated", "narrow", "blocks", "tensor", "precision", "every", "overflow", "shared"


@needs_numba_cuda
def test_in_the_simulator(tmp_path):
    """Run the tests of the files in SIMULATED. Together they launch every kernel."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider"]
    files = [str(TESTS / f"cuda_{part}.py") for part in SIMULATED]
    more = {
        "NUMBA_ENABLE_CUDASIM": "1", "PYTHONPATH": str(TESTS),
        "FASTSNN_NOT_LAUNCHED": str(tmp_path / "names"),
    }  # fmt: skip
    run = subprocess.run(
        [*command, "-p", "cuda_seen", *files], cwd=TESTS.parent, text=True, capture_output=True,
        env=os.environ | more,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout[-5000:] + run.stderr[-2000:]
    assert " passed" in run.stdout
    assert json.loads((tmp_path / "names").read_text()) == []


def no_gpu():
    if not NUMBA_CUDA:
        return True
    from numba import cuda as numba_cuda

    return not numba_cuda.is_available()


needs_no_gpu = pytest.mark.skipif(not no_gpu(), reason="there is a GPU")


@pytest.fixture
def fresh():
    device.kernels.cache_clear()
    yield
    device.kernels.cache_clear()


def error_of(call):
    """Return the text of the RuntimeError that `call` raises, one line."""
    with pytest.raises(RuntimeError) as error:
        call()
    text = str(error.value)
    assert "\n" not in text and text.startswith('backend "cuda": ')
    return text


def network():
    return fs.mlp(3, 2, layers=1, width=4)


def test_without_the_package(monkeypatch, fresh):
    monkeypatch.setattr(device.importlib.util, "find_spec", lambda name: None)
    for call in (lambda: fs.Trainer(network(), backend="cuda"), lambda: network().to_device()):
        text = error_of(call)
        assert "numba-cuda" in text and "pip install '.[cuda13]'" in text
        assert "'.[cuda12]'" in text


WITHOUT_ROW_STACK = """
import numpy
vars(numpy).pop("row_stack", None)
from fastsnn.engine import device
try:
    device.kernels()
except RuntimeError as problem:
    print(problem)
"""


@needs_numba_cuda
def test_with_a_numpy_that_numba_cuda_cannot_use():
    """numpy 2.5 lacks a name that numba-cuda's compiler imports, at the first kernel."""
    run = subprocess.run(
        [sys.executable, "-c", WITHOUT_ROW_STACK], text=True, capture_output=True,
        env=os.environ | {"NUMBA_ENABLE_CUDASIM": "0"},
    )  # fmt: skip
    (line,) = run.stdout.splitlines()
    assert run.stderr == "" and line.startswith('backend "cuda": numba-cuda ')
    assert f"numpy {np.__version__}" in line and "row_stack" in line
    assert line.endswith("pip install 'numpy<2.5', or use backend \"cpu\"")


@needs_numba_cuda
@needs_no_gpu
def test_without_a_gpu(fresh):
    net = network()
    for call in (lambda: fs.Trainer(net, backend="cuda"), net.to_device):
        assert "an NVIDIA GPU and its driver are required" in error_of(call)
    assert net.device == "cpu"
    net.forward(np.zeros((2, 3), np.float32))  # still works here


@needs_no_gpu
def test_the_command_line(tmp_path):
    result = commands.call("train", "--backend", "cuda", "--out", tmp_path / "run")
    assert result.exit_code == 1 and len(result.stderr.strip().splitlines()) == 1
    assert "numba-cuda" in result.stderr or "NVIDIA GPU" in result.stderr
    assert not (tmp_path / "run").exists()
    commands.good("train", *commands.SMALL, "--out", tmp_path / "run")
    for command in ("evaluate", "predict"):
        model = "--model", tmp_path / "run"
        result = commands.call(command, *model, "--data", "digits", "--backend", "cuda")
        assert result.exit_code == 1 and len(result.stderr.strip().splitlines()) == 1
        assert "numba-cuda" in result.stderr or "NVIDIA GPU" in result.stderr


@needs_numba_cuda
@pytest.mark.parametrize(
    "given, words",
    [
        ("[2] Call to cuMemAlloc results in CUDA_ERROR_OUT_OF_MEMORY", ["out of device memory"]),
        ("CUDA_ERROR_OUT_OF_MEMORY: the API call failed", ["out of device", "smaller batches"]),
        ("CUDA_ERROR_UNSUPPORTED_PTX_VERSION", ["driver is too old", "pip install '.[cuda12]'"]),
        ("driver version is insufficient for\nruntime", ["driver is too old", "update it"]),
        ("[700] CUDA_ERROR_ILLEGAL_ADDRESS", ["an array of 3.0 MiB failed", "700"]),
    ],
)
def test_errors_of_the_driver_are_one_line(given, words):
    from fastsnn.kernels.cuda import device as driver

    text = str(driver.explained(RuntimeError(given), "an array of 3.0 MiB"))
    assert "\n" not in text and text.startswith('backend "cuda": ')
    assert all(word in text for word in words), text


def test_other_backends_are_refused():
    with pytest.raises(ValueError, match='backend must be "cuda", got'):
        network().to_device("tpu")
