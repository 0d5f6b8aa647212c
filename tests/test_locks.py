"""Forks while other threads hold locks or load kernels; processes that compile concurrently."""

import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import filelock
import pytest

from fastsnn.kernels import alone, locks

ROOT = Path(__file__).resolve().parents[1]
pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")

# Reports a failure of the child by its exit status; a child that hangs is ended by an alarm.
FORK = """
import os, signal, threading, time
from fastsnn.engine import threads
from fastsnn.kernels import locks

def fork(child):
    pid = os.fork()
    if pid == 0:
        signal.alarm(20)
        try:
            child()
            os._exit(0)
        finally:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

def in_thread(hold):
    '''Run hold(begun, end) in a thread that has begun; returns how to end it.'''
    begun, end = threading.Event(), threading.Event()
    thread = threading.Thread(target=hold, args=(begun, end))
    thread.start()
    begun.wait()
    return lambda: (end.set(), thread.join())
"""


def run(code, **variables):
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORK + code],
        env=os.environ | {"PYTHONPATH": str(ROOT)} | variables,
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.split(), done.stderr


def test_a_child_finds_locks_free():
    out, _ = run("""
lock = locks.Lock()

def hold(begun, end):
    with lock:
        begun.set(); end.wait()

def use():
    with lock: pass

finish = in_thread(hold)
print(fork(use))
free = []
other = threading.Thread(target=lambda: free.append(lock.rlock.acquire(blocking=False)))
other.start(); other.join()
print(free)
finish()
with lock:  # by the thread that forks: the child holds it, too, and frees it
    print(fork(use))
    def freed():
        lock.__exit__(None, None, None)
        t = threading.Thread(target=use); t.start(); t.join(5); assert not t.is_alive()
    print(fork(freed))
use()
""")
    assert out == ["0", "[False]", "0", "0"]


def test_a_fork_waits_for_the_compiler():
    """If the compiler never becomes idle, the fork stops waiting and its locks are renewed."""
    out, _ = run("""
owner, name = locks.COMPILER[0]
done = []

def compiles(begun, end):
    with locks.compiler:
        begun.set(); time.sleep(0.5); done.append(1)

def use():
    assert done
    with locks.compiler: pass

finish = in_thread(compiles)
print(fork(use))
finish()

def never(begun, end):
    with locks.compiler:
        begun.set(); end.wait()

def use():
    for owner, name in locks.COMPILER:
        with getattr(owner, name): pass

locks.WAIT = 0.1
finish = in_thread(never)
print(fork(use))
finish()
with locks.compiler: pass
""")
    assert out == ["0", "0"]


def test_numba_has_the_locks_that_are_known():
    for owner, name in locks.COMPILER:
        assert hasattr(getattr(owner, name), "acquire"), name


LOADING = """
import numpy as np, fastsnn as fs
x = np.zeros((64, 8), np.float32)
net = fs.mlp(8, 3, layers=2, width=16)
want = fs.mlp(8, 3, layers=2, width=16)

def load(begun, end):
    begun.set()
    net.forward(x, threads=THREADS)

finish = in_thread(load)
time.sleep(DELAY)
print(fork(lambda: want.forward(x, threads=THREADS)))
finish()
assert np.array_equal(net.forward(x), want.forward(x))
"""


@pytest.mark.parametrize("delay", [0.0, 0.05])
def test_a_fork_while_another_thread_loads_kernels(delay):
    out, _ = run(LOADING.replace("DELAY", str(delay)).replace("THREADS", "2"))
    assert out == ["0"]


@pytest.mark.parametrize("layer", ["omp", "workqueue"])
def test_a_fork_while_another_thread_is_in_a_parallel_region(layer):
    out, said = run(
        """
import numpy as np, fastsnn as fs
x = np.zeros((4096, 64), np.float32)
net = fs.mlp(64, 3, layers=8, width=64)
net.forward(x, threads=2)

def work(begun, end):
    begun.set()
    while not end.is_set():
        net.forward(x, threads=2)

finish = in_thread(work)
print([fork(lambda: net.forward(x, threads=2)) for _ in range(5)])
finish()
net.forward(x, threads=2)
""",
        NUMBA_THREADING_LAYER=layer, NUMBA_NUM_THREADS="2",
    )  # fmt: skip
    assert out == ["[0,", "0,", "0,", "0,", "0]"], said


# One small kernel, loaded by processes that start together.
KERNEL = """
import logging, sys
logging.basicConfig(format="%(message)s")
import numpy as np
from fastsnn.kernels.cpu.activation import exponential
from numba.core.event import install_recorder
print("ready", flush=True)
sys.stdin.readline()
x = np.arange(0, -9, -1, dtype=np.float32)
y = np.empty_like(x)
with install_recorder("numba:compile") as recorder:
    exponential(y, x)
assert np.allclose(y, np.exp(x.astype(float)))
print(len([e for _, e in recorder.buffer if e.is_start]) > 0)
"""


def together(count, cache):
    """Run `count` processes; return (whether each compiled, the output of each)."""
    env = os.environ | {"FASTSNN_CACHE": str(cache), "PYTHONPATH": str(ROOT)}
    pipe = subprocess.PIPE
    running = [
        subprocess.Popen(
            [sys.executable, "-c", KERNEL], env=env, stdin=pipe, stdout=pipe, stderr=pipe, text=True
        )
        for _ in range(count)
    ]
    for process in running:
        assert process.stdout.readline() == "ready\n"
    for process in running:
        process.stdin.write("\n")
        process.stdin.flush()
    ends = [process.communicate(timeout=120) for process in running]
    return [out == "True\n" for out, _ in ends], [said for _, said in ends]


def test_one_process_compiles_and_the_others_wait(tmp_path):
    compiled, said = together(4, tmp_path)
    assert sum(compiled) == 1
    for mine, text in zip(compiled, said, strict=True):
        assert len(re.findall("compiling kernels", text)) == mine
    waited = "fastsnn: waiting for another process that compiles the kernels ...\n"
    assert any(text == waited for text in said)
    assert together(1, tmp_path) == ([False], [""])


@pytest.fixture
def held(tmp_path):
    """Return a folder whose lock another process holds until it is killed."""
    path = str(tmp_path / "compiling.lock")
    code = f"""
import filelock, time
lock = filelock.FileLock({path!r})
lock.acquire()
print("held", flush=True)
time.sleep(60)
"""
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        yield tmp_path, holder
        holder.kill()


def test_a_holder_that_dies_frees_the_lock(held):
    folder, holder = held
    said = []
    threading.Timer(0.5, holder.kill).start()
    with alone.alone(folder, lambda: 1, said.append):
        with pytest.raises(filelock.Timeout):  # this process holds it now
            filelock.FileLock(folder / "compiling.lock", timeout=0).acquire()
    assert said == ["fastsnn: waiting for another process that compiles the kernels ..."]
    filelock.FileLock(folder / "compiling.lock", timeout=0).acquire().lock.release()


def test_the_wait_ends_when_nothing_is_missing(held, monkeypatch):
    monkeypatch.setattr(alone, "POLL", 0.01)
    missing, said = iter([2, 2, 1, 0]), []
    with alone.alone(held[0], lambda: next(missing), said.append):
        pass
    assert len(said) == 1


def test_the_wait_ends_when_nothing_happens(held, monkeypatch):
    monkeypatch.setattr(alone, "POLL", 0.01)
    monkeypatch.setattr(alone, "PATIENCE", 0.1)
    said = []
    with alone.alone(held[0], lambda: 2, said.append):
        pass
    assert len(said) == 2 and "compiling here as well" in said[1]


def test_without_locks_it_compiles(tmp_path, monkeypatch):
    def missing(self, *arguments, **options):
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(filelock.FileLock, "acquire", missing)
    said = []
    for folder in (None, tmp_path):
        with alone.alone(folder, lambda: 1, said.append):
            pass
    assert not said


def test_threads_do_not_spin_for_long():
    """OpenMP gets the spin count, the environment is restored, and a user's choice stays."""
    code = """
import os
from numba.np.ufunc import parallel
from fastsnn.kernels import pool
seen = []
launch = parallel._launch_threads
def watched():
    seen.append(os.environ.get("GOMP_SPINCOUNT")); launch()
parallel._launch_threads = watched
pool.launch()
print(seen[0], os.environ.get("GOMP_SPINCOUNT"))
"""
    clean = "for n in ('GOMP_SPINCOUNT', 'OMP_WAIT_POLICY'): os.environ.pop(n, None)\n"
    assert run(clean + code)[0] == ["20000", "None"]
    assert run(code, GOMP_SPINCOUNT="7")[0] == ["7", "7"]
    assert run(code, OMP_WAIT_POLICY="passive")[0] == ["None", "None"]
