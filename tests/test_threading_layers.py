"""Every threading layer of Numba serves many Python threads concurrently, and gives the same
bits.
"""

import os
import subprocess
import sys

import pytest

SERVE = """
import hashlib, threading, numba, numpy as np, fastsnn as fs
x = np.random.default_rng(0).standard_normal((300, 20), dtype=np.float32)
net = fs.mlp(20, 3, layers=4, width=24)
found = []
def serve():
    for _ in range(30):
        found.append(hashlib.sha256(net.forward(x, threads=2).tobytes()).hexdigest())
threads = [threading.Thread(target=serve) for _ in range(4)]
for t in threads:
    t.start()
for t in threads:
    t.join()
print(numba.threading_layer(), len(found), *set(found))
"""


def _serve(layer):
    done = subprocess.run(
        [sys.executable, "-c", SERVE],
        env=os.environ | {"NUMBA_THREADING_LAYER": layer, "NUMBA_NUM_THREADS": "2"},
        capture_output=True,
        text=True,
    )
    if "No threading layer could be loaded" in done.stderr:
        pytest.skip(f"Numba has no {layer} layer here")
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_many_concurrent_python_threads():
    used, count, *bits = _serve("omp")
    assert (used, count, len(bits)) == ("omp", "120", 1)
    assert _serve("workqueue") == ["workqueue", "120", *bits]


COUNT = """
import os, sys, numba, numpy as np, fastsnn as fs
from fastsnn.engine import pace
x, y = np.ones((64, 5), np.float32), np.zeros(64, int)
trainer = fs.Trainer(fs.mlp(5, 2, layers=1, width=8), threads=2)
seen = []
for alone in (True, False, True, False, True, False):
    pace.Pace.use_one_thread = lambda *_: alone
    pace.Pace.record = lambda *_: None
    trainer.step(x, y)
    seen.append(len(os.listdir("/proc/self/task")))
print(*seen)
"""


def test_a_region_of_one_thread_starts_and_ends_no_other():
    if not sys.platform.startswith("linux"):
        pytest.skip("counts threads in /proc")
    env = os.environ | {"NUMBA_THREADING_LAYER": "omp", "NUMBA_NUM_THREADS": "2"}
    done = subprocess.run([sys.executable, "-c", COUNT], env=env, capture_output=True, text=True)
    if "No threading layer could be loaded" in done.stderr:
        pytest.skip("Numba has no omp layer here")
    assert done.returncode == 0, done.stderr
    first, *rest = map(int, done.stdout.split())
    assert first <= rest[0] and len(set(rest)) == 1
