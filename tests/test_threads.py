"""The number of threads: cgroup quotas of both versions, and valid values of `threads`."""

import numba
import numpy as np
import pytest

import fastsnn as fs
from fastsnn.engine import threads

NO_LIMIT = float("inf")


def write(root, **files):
    for name, text in files.items():
        path = root / name.replace("__", "/").replace("cpu_max", "cpu.max")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.mark.parametrize(
    "text, limit",
    [
        ("max 100000\n", NO_LIMIT),
        ("200000 100000\n", 2),
        ("150000 100000\n", 1.5),
        ("50000 100000\n", 0.5),
        ("40000 10000\n", 4),
        ("max\n", NO_LIMIT),  # too short: ignored
        ("", NO_LIMIT),
    ],
)
def test_cgroup_version_2(tmp_path, text, limit):
    assert threads.cgroup_limit(write(tmp_path, cpu_max=text)) == limit


@pytest.mark.parametrize(
    "quota, period, limit",
    [("-1", "100000", NO_LIMIT), ("300000", "100000", 3), ("0", "100000", NO_LIMIT)],
)
def test_cgroup_version_1(tmp_path, quota, period, limit):
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text(f"{quota}\n")
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text(f"{period}\n")
    assert threads.cgroup_limit(tmp_path) == limit


def test_cgroup_version_2_comes_first(tmp_path):
    test_cgroup_version_1(tmp_path, "300000", "100000", 3)
    assert threads.cgroup_limit(write(tmp_path, cpu_max="100000 100000")) == 1


def test_no_cgroup(tmp_path):
    assert threads.cgroup_limit(tmp_path) == NO_LIMIT
    assert threads.cgroup_limit(tmp_path / "nothing") == NO_LIMIT
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text("100000")  # without a period
    assert threads.cgroup_limit(tmp_path) == NO_LIMIT


@pytest.mark.parametrize(
    "limit, processors, expected",
    [(NO_LIMIT, 8, 8), (2.0, 8, 2), (2.9, 8, 2), (0.5, 8, 1), (16.0, 8, 8), (NO_LIMIT, 1, 1)],
)
def test_available(monkeypatch, limit, processors, expected):
    monkeypatch.setattr(threads, "cgroup_limit", lambda: limit)
    monkeypatch.setattr(numba.config, "NUMBA_NUM_THREADS", processors)
    assert threads.available() == expected
    assert threads.resolve(None) == expected


def test_resolve():
    for count in (1, 2, 3, 1000):
        assert threads.resolve(count) == count


def test_a_forked_child_has_one(monkeypatch):
    monkeypatch.setattr(threads, "_forked", True)
    assert threads.resolve(None) == threads.resolve(8) == 1
    with pytest.raises(ValueError):
        threads.resolve(0)


@pytest.mark.parametrize("count", [0, -1, -100])
def test_out_of_range(count):
    with pytest.raises(ValueError, match=rf"^threads: at least 1 is required, got {count}; None"):
        threads.resolve(count)


@pytest.mark.parametrize("count", [1.0, "2", True, False, [2]])
def test_no_count(count):
    with pytest.raises(TypeError) as caught:
        threads.resolve(count)
    assert str(caught.value) == f"threads: an int >= 1 or None is required, got {count!r}"


def test_invalid_thread_counts_are_refused():
    net = fs.mlp(3, 2, layers=1, width=4)
    with pytest.raises(ValueError, match="threads: at least 1"):
        fs.Trainer(net, threads=0)
    with pytest.raises(TypeError, match="threads: an int"):
        net.forward(np.zeros((1, 3), np.float32), threads=1.5)


def test_a_region_takes_no_more_than_there_are():
    before = numba.get_num_threads()
    try:
        threads.region(1)
        assert numba.get_num_threads() == 1
        threads.region(10_000)
        assert numba.get_num_threads() == numba.config.NUMBA_NUM_THREADS
    finally:
        numba.set_num_threads(before)
