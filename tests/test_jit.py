"""The cache of compiled kernels: its folder, cases in which it is not used, and damaged entries.

Tests of whole processes start new ones, with one small kernel.
"""

import logging
import os
import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from numba.core import caching
from numba.core.event import install_recorder

from fastsnn.kernels import cache as kernel_cache
from fastsnn.kernels import jit
from fastsnn.kernels.cachefolder import Found, Place

ROOT = Path(__file__).resolve().parents[1]
KERNEL = """
import logging
logging.basicConfig(format="%(message)s")
import numpy as np
from fastsnn.kernels import cache as kernel_cache
from fastsnn.kernels import jit
from fastsnn.kernels.cachefolder import Found, Place
from fastsnn.kernels.cpu.activation import exponential
x = np.arange(0, -9, -1, dtype=np.float32)
y = np.empty_like(x)
exponential(y, x)
print(jit.CACHE_FOLDER)
print("right" if np.allclose(y, np.exp(x.astype(float))) else "wrong")
"""


def run(cache, root=ROOT, temporary=None):
    """Run a new process with this cache; return (cache folder, "right" or "wrong", its output)."""
    env = os.environ | {"FASTSNN_CACHE": str(cache), "PYTHONPATH": str(root)}
    env |= {} if temporary is None else {"TMPDIR": str(temporary)}
    command = [sys.executable, "-W", "error", "-c", KERNEL]
    done = subprocess.run(command, cwd=root, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return (*done.stdout.splitlines(), done.stderr)


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """Return a cache folder with the kernel in it, to be copied."""
    cache = tmp_path_factory.mktemp("cache")
    folder, result, said = run(cache)
    assert Path(folder).parent == cache and result == "right"
    assert re.search(r"compiling kernels .*\nfastsnn: compiled in \d+\.\d s\n$", said)
    return cache


@pytest.fixture
def cache(filled, tmp_path):
    return Path(shutil.copytree(filled, tmp_path / "cache"))


def entries(cache, suffix):
    found = list(cache.rglob(f"*exponential*{suffix}"))
    assert found
    return found


def test_a_second_process_compiles_nothing(cache):
    before = {path: path.stat().st_mtime_ns for path in cache.rglob("*") if path.is_file()}
    folder, result, said = run(cache)
    assert Path(folder).parent == cache and result == "right" and said == ""
    assert before == {path: path.stat().st_mtime_ns for path in cache.rglob("*") if path.is_file()}


def test_an_edit_in_a_called_file_gives_another_folder(cache, tmp_path):
    """Numba itself checks only the file of the kernel, which is unchanged."""
    ignored = shutil.ignore_patterns("__pycache__")
    for name in ("fastsnn", "kernels"):
        shutil.copytree(ROOT / name, tmp_path / "copy" / name, ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", tmp_path / "copy")
    called = tmp_path / "copy" / "kernels" / "scalar.py"
    first = run(cache, tmp_path / "copy")
    assert first[0] == run(cache)[0]  # the same sources in another folder share the cache
    text, count = re.subn(r"\nEXP_UNDERFLOW = .*", "\nEXP_UNDERFLOW = -1.0", called.read_text())
    assert count == 1
    called.write_text(text)
    folder, result, said = run(cache, tmp_path / "copy")
    assert folder != first[0] and Path(folder).parent == cache
    assert result == "wrong" and "compiling" in said


DAMAGE = {
    "index cut": (".nbi", lambda data: data[: len(data) // 2]),
    "index of noise": (".nbi", lambda data: bytes(range(256)) * 4),
    "code cut": (".nbc", lambda data: data[:-100]),
    "code empty": (".nbc", lambda data: b""),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_entry_is_dropped(cache, name):
    suffix, damage = DAMAGE[name]
    for path in entries(cache, suffix):
        path.write_bytes(damage(path.read_bytes()))
    _, result, said = run(cache)
    assert result == "right"
    assert re.search(r"cache entry of .*exponential.* is damaged \(.*\); compiling again", said)
    assert run(cache)[1:] == ("right", "")  # the next process finds a valid entry


def test_a_lost_file_is_compiled_again(cache):
    for path in entries(cache, ".nbc"):
        path.unlink()
    assert run(cache)[1] == "right"
    assert entries(cache, ".nbc") and run(cache)[1:] == ("right", "")


def test_no_folder_can_be_written(tmp_path):
    """Kernels are compiled for this process alone; a file has the path of each folder."""
    (tmp_path / "cache").write_text("")
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    (temporary / f"fastsnn-{os.getuid()}").write_text("")
    folder, result, said = run(tmp_path / "cache", temporary=temporary)
    assert folder == "None" and result == "right"
    assert said.count("compiling") == 1 and "for this process alone" in said
    assert "Not a directory" in said or "is not a folder" in said
    assert sorted(os.listdir(temporary)) == [f"fastsnn-{os.getuid()}"]


def test_the_name_depends_on_sources_and_versions(monkeypatch):
    name = jit._sources_hash()
    assert re.fullmatch(r"[0-9a-f]{16}", name) and name == jit._sources_hash()
    monkeypatch.setattr(jit.numba, "__version__", "0.0")
    assert jit._sources_hash() != name


def triple(x):
    """Return three times x."""
    return 3 * x


@pytest.fixture
def entry(tmp_path, monkeypatch):
    monkeypatch.setattr(jit, "CACHE", Found((Place(tmp_path, True),), ()))
    monkeypatch.setattr(jit, "_reported", False)
    return jit.entry(jit.INT, jit.INT)(triple)


def test_an_entry_has_one_signature(entry, tmp_path):
    assert entry.__doc__ == "Return three times x." and not entry.on_disk()
    assert entry(7) == 21 and entry.on_disk() and entry.address
    assert list(tmp_path.rglob("*.nbc"))
    with pytest.raises(TypeError, match="[Nn]o matching definition"):
        entry("7")
    assert len(entry.dispatcher.signatures) == 1


def test_loading_is_reported_once(entry):
    lines = []
    seconds = jit.load(entry, report=lines.append)
    assert len(lines) == 2 and lines[1] == f"fastsnn: compiled in {seconds:.1f} s"
    jit.load(entry, report=lines.append)
    jit.load(jit.entry(jit.INT, jit.INT)(triple), report=lines.append)  # from the cache
    assert len(lines) == 2


def test_a_process_reports_one_compilation(entry, monkeypatch):
    """`also` is compiled with the first entries; a long further compilation has one line."""
    lines = []
    more = jit.entry(jit.INT, jit.INT)(lambda x: 4 * x)
    jit.load(entry, also=(more,), report=lines.append)
    assert len(lines) == 2 and more.address
    another = jit.entry(jit.INT, jit.INT)(lambda x: 5 * x)
    jit.load(another, also=(jit.entry(jit.INT, jit.INT)(lambda x: 6 * x),), report=lines.append)
    assert len(lines) == 2
    monkeypatch.setattr(jit, "LONG", 0.0)
    jit.load(jit.entry(jit.INT, jit.INT)(lambda x: 7 * x), report=lines.append)
    assert re.fullmatch(r"fastsnn: further kernels took \d+\.\d s", lines[2]) and len(lines) == 3


def test_an_interrupted_load_can_be_repeated(entry, monkeypatch):
    result = type(entry.dispatcher).get_compile_result

    def interrupted(self, signature):
        raise KeyboardInterrupt

    monkeypatch.setattr(type(entry.dispatcher), "get_compile_result", interrupted)
    with pytest.raises(KeyboardInterrupt):
        entry(3)
    monkeypatch.setattr(type(entry.dispatcher), "get_compile_result", result)
    assert entry(3) == 9


def test_many_python_threads_compile_once(entry, monkeypatch):
    monkeypatch.setattr(jit.log, "disabled", True)
    results, start = [], threading.Barrier(4)

    def use(k):
        start.wait()
        results.append(entry(k))

    workers = [threading.Thread(target=use, args=(k,)) for k in range(4)]
    with install_recorder("numba:compile") as recorder:
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    assert sorted(results) == [0, 3, 6, 9]
    assert len([e for _, e in recorder.buffer if e.is_start]) == 1


def test_a_full_disk_does_not_stop_a_training(entry, monkeypatch, caplog):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(caching.FunctionCache, "save_overload", full)
    monkeypatch.setattr(kernel_cache, "_warned", set())
    with caplog.at_level(logging.WARNING, "fastsnn"):
        assert entry(5) == 15
    assert "compiled code could not be cached ([Errno 28] No space left on device)" in caplog.text


def test_without_a_folder_an_entry_works(monkeypatch):
    monkeypatch.setattr(jit, "CACHE", Found((), ()))
    entry = jit.entry(jit.INT, jit.INT)(triple)
    assert entry(4) == 12 and not entry.on_disk()


def test_fast_math_keeps_nan_and_order():
    """x - x is NaN for infinity, (a + b) - b is not a, a product and a sum are rounded
    separately.
    """
    x = np.array([np.inf, 1e8, 1 + 2.0**-12], np.float32)

    def rounded(x):
        return np.array(
            [x[0] - x[0], (np.float32(1) + x[1]) - x[1], x[2] * x[2] - np.float32(1 + 2.0**-11)]
        )

    found = jit.helper(rounded)(x)
    assert np.isnan(found[0]) and found[1:].tolist() == [0, 0]


def test_one_bit_of_the_compiled_code(cache):
    (path,) = entries(cache, ".nbc")
    whole = path.read_bytes()
    for place in (40, len(whole) // 2, len(whole) - 40):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
        _, result, said = run(cache)
        assert result == "right" and "damaged" in said and run(cache)[1:] == ("right", "")


def test_another_processor_compiles_again_and_reports_it(cache, monkeypatch):
    """Machines may share a home folder; the index of a kernel holds the code of all of them."""
    monkeypatch.setenv("NUMBA_CPU_NAME", "generic")
    monkeypatch.setenv("NUMBA_CPU_FEATURES", "")
    _, result, said = run(cache)
    assert result == "right" and "compiling" in said
    assert run(cache)[1:] == ("right", "")
