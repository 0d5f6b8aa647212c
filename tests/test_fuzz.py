"""Damaged files for every reader, by hypothesis; and checks that fuzz/harness.py finds faults.

The long run, and how to add a target: fuzz/harness.py.
"""

import random
import subprocess
import sys

import pytest
from fuzz import harness, mutate

hypothesis = pytest.importorskip("hypothesis", reason="hypothesis is not installed")
st = hypothesis.strategies

CASES = 150  # of each target
TARGETS = harness.targets()
NUMBER = st.integers(0, 2**32 - 1)
EDIT = st.tuples(st.integers(0, len(mutate.EDITS) - 1), NUMBER, NUMBER)


def cases(target):
    structured = st.none() | NUMBER if hasattr(target, "mutate") else st.none()
    return st.builds(
        mutate.Case, st.integers(0, 99), st.integers(0, 99), structured, st.lists(EDIT, max_size=6)
    )


@pytest.mark.parametrize("name", TARGETS)
def test_seeds_are_accepted(name, tmp_path):
    path = tmp_path / f"case{TARGETS[name].SUFFIX}"
    for seed in TARGETS[name].SEEDS:
        path.write_bytes(seed)
        TARGETS[name].read(path)


@pytest.mark.parametrize("name", TARGETS)
def test_damaged_files_are_refused_in_one_line(name, tmp_path):
    target = TARGETS[name]
    path = tmp_path / f"case{target.SUFFIX}"

    @hypothesis.settings(
        max_examples=CASES, derandomize=True, deadline=None, database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )  # fmt: skip
    @hypothesis.given(cases(target))
    def check(case):
        path.write_bytes(mutate.apply(target, case))
        assert harness.outcome(target, path)[1] is None

    check()


@pytest.mark.parametrize("name", [n for n, t in TARGETS.items() if hasattr(t, "mutate")])
def test_changes_of_valid_files_are_read_or_refused(name, tmp_path):
    """Some of each: a `mutate` whose files are all refused would reach few lines."""
    target, path, results = TARGETS[name], tmp_path / f"f{TARGETS[name].SUFFIX}", []
    for case in range(CASES):
        rng = random.Random(case)
        path.write_bytes(target.mutate(rng.choice(target.SEEDS), rng))
        result, fault = harness.outcome(target, path)
        assert fault is None, case
        results.append(result)
    assert 1 < len(set(results)) and "accepted" in results


# ---- the harness


def harness_run(folder, *words):
    command = [sys.executable, harness.__file__, "--folder", folder, "--faults", folder / "faults"]
    return subprocess.run([*map(str, (*command, *words))], capture_output=True, text=True)


TARGET = """
import os, time, warnings
SEEDS, SUFFIX = [b"good"], ".txt"
def read(path):
    data = path.read_bytes()
    if data[:1] == b"g":
        return
    {}
    raise ValueError(f"{{path}}: must begin with g")
"""


@pytest.mark.parametrize(
    "line, found",
    [
        ("[][1]", "IndexError at target_bad.py:8: list index out of range"),
        ("raise NotImplementedError('compression')", "NotImplementedError at target_bad.py:8"),
        ("raise ValueError('two\\nlines')", "several lines: 'two\\nlines'"),
        ("raise ValueError('x' * 1001)", "1001 letters: 'xxx"),
        ("warnings.warn('something')", "UserWarning at "),
        ("os.kill(os.getpid(), 11)", "process died with exit code -11"),
        (
            "os.environ.setdefault('ONCE', data.hex()) == data.hex() and b'1' * (520 << 20)",
            "memory: g",
        ),
        ("bytearray(7 << 30)", "MemoryError at target_bad.py:8"),
    ],
)
def test_the_harness_finds_faults(tmp_path, line, found):
    (tmp_path / "target_bad.py").write_text(TARGET.format(line))
    run = harness_run(tmp_path, "--cases", 12, "--jobs", 1)
    assert run.returncode == 1 and run.stderr == "", run.stderr
    assert found in run.stdout and "\n12 cases in " in run.stdout
    saved = sorted((tmp_path / "faults").iterdir())
    assert 0 < len(saved) <= harness.KEPT
    assert all(not path.read_bytes().startswith(b"g") for path in saved)


def test_the_harness_counts_and_repeats(tmp_path):
    (tmp_path / "target_good.py").write_text(TARGET.format("pass"))
    (tmp_path / "target_more.py").write_text(TARGET.format("raise FileNotFoundError(str(path))"))
    runs = [harness_run(tmp_path, "--cases", 400, "--seed", seed) for seed in (1, 1, 2)]
    counts = [[line.split(";")[0] for line in run.stdout.splitlines()[:2]] for run in runs]
    assert [run.returncode for run in runs] == [0, 0, 0] and counts[0] == counts[1] != counts[2]
    assert counts[0][0].startswith("good: 200 cases, ") and "refused: ValueError " in counts[0][0]
    assert "refused: FileNotFoundError " in counts[0][1] and not (tmp_path / "faults").exists()


def test_one_case_again(tmp_path):
    (tmp_path / "target_bad.py").write_text(TARGET.format("[][1]"))
    run = harness_run(tmp_path, "--cases", 5, "--jobs", 1)
    saved = sorted((tmp_path / "faults").iterdir())[0]
    data, index = saved.read_bytes(), saved.stem.removeprefix("bad-")
    saved.unlink()
    run = harness_run(tmp_path, "--target", "bad", "--case", index)
    assert saved.read_bytes() == data and "IndexError: list index out of range" in run.stderr
    assert "must be one of bad, got worse" in harness_run(tmp_path, "--target", "worse").stderr
