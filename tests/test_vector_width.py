"""Vectors of 4 lanes give the same bits as vectors of the host's width."""

import os
import platform
import subprocess
import sys

import pytest

TRAIN = """
import hashlib, numpy as np, fastsnn as fs
from fastsnn import methods
from fastsnn.kernels.cpu.shape import LANES
rng = np.random.default_rng(0)
x = rng.standard_normal((100, 37), dtype=np.float32)
y = {"softmax_cross_entropy": rng.integers(0, 7, 100)}
y["mse"] = rng.standard_normal((100, 7), dtype=np.float32)
digest = hashlib.sha256()
runs = [
    (method, 3, "softmax_cross_entropy", fs.SGD(0.01, momentum=0.9)) for method in methods.METHODS
]
more = ["mse", "huber:0.5", "quantile:0.9", "softmax_cross_entropy:0.2"]
runs += [("snn", 9, loss, fs.Adam()) for loss in more]
for method, layers, loss, optimizer in runs:
    net = methods.network(method, 37, 7, layers=layers, width=45, dropout=0.05)
    trainer = fs.Trainer(net, loss=loss, optimizer=optimizer, threads=1)
    for _ in range(5):
        trainer.step(x, y["softmax_cross_entropy" if "softmax" in loss else "mse"])
    for tensor in net.state_dict().values():
        digest.update(tensor.tobytes())
    digest.update(net.forward(x, threads=1).tobytes())
smooth = [layer for act in (fs.GELU(), fs.GELU("tanh"), fs.Mish()) for layer in (fs.Dense(45), act)]
smooth = fs.Trainer(fs.Network([*smooth, fs.Dense(7)], 37), threads=1)
for _ in range(5):
    smooth.step(x, y["softmax_cross_entropy"])
digest.update(smooth.network.forward(x, threads=1).tobytes())
print(LANES, digest.hexdigest())
"""


def _train(**environment):
    done = subprocess.run(
        [sys.executable, "-c", TRAIN], env=os.environ | environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.skipif(platform.machine() != "x86_64", reason="narrows the vectors of x86-64 only")
def test_bits_do_not_depend_on_the_vector_width():
    lanes, bits = _train()
    if lanes == "4":
        pytest.skip("this host's own vectors have 4 lanes")
    narrow_lanes, narrow_bits = _train(NUMBA_CPU_NAME="x86-64-v2", NUMBA_CPU_FEATURES="")
    assert narrow_lanes == "4"
    assert bits == narrow_bits
