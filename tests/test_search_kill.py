"""A search that is killed at any moment loses no finished trial and runs none twice."""

import json
import signal
import time

import pytest
from commands import call, result_of, start

SEARCH = (
    "search", "--grid", "layers=1,2,3", "--grid", "learning_rate=0.02,0.1,0.5",
    "--grid", "dropout=0,0.05", "--width", 16, "--epochs", 12, "--batch-size", 64,
)  # fmt: skip
TRIALS = 18
TIMES = ("seconds", "busy", "folder")

# Kills its own process in the Nth write of a record: before it, in the middle of it, after it.
KILLER = """
import os, signal, sys
import fastsnn.cli, fastsnn.search.journal as journal
what, count = sys.argv[1], int(sys.argv[2])
write, fsync, left = os.write, os.fsync, [count]

def written(file, line):
    left[0] -= 1
    if not left[0] and what == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    if not left[0] and what == "middle":
        write(file, line[: len(line) // 2])
        os.kill(os.getpid(), signal.SIGKILL)
    return write(file, line)

def synced(file):
    fsync(file)
    if not left[0] and what == "after":
        os.kill(os.getpid(), signal.SIGKILL)

class Os:
    def __getattr__(self, name):
        return {"write": written, "fsync": synced}.get(name) or getattr(os, name)

journal.os = Os()
fastsnn.cli.main(sys.argv[3:])
"""


def without_times(result):
    result = {k: v for k, v in result.items() if k not in TIMES}
    for record in (result["best"], *result["table"]):
        record.pop("seconds")
    return result


def records(folder):
    """Return the options of finished trials as JSON, in file order, without an incomplete line."""
    lines = (folder / "trials.jsonl").read_text().splitlines(keepends=True)
    return [json.dumps(json.loads(line)["options"]) for line in lines[1:] if line.endswith("\n")]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Return the uninterrupted search with one worker."""
    folder = tmp_path_factory.mktemp("whole")
    return without_times(result_of(*SEARCH, "--workers", 1, "--out", folder))


def assert_resumes(folder, whole):
    content = (folder / "trials.jsonl").read_bytes()
    finished = records(folder)
    kept = content[: content.rfind(b"\n") + 1]
    result = without_times(result_of(*SEARCH, "--workers", 2, "--out", folder, "--resume"))
    assert result == whole
    assert (folder / "trials.jsonl").read_bytes().startswith(kept), "a finished trial was lost"
    assert records(folder)[: len(finished)] == finished
    assert len(records(folder)) == len(set(records(folder))) == TRIALS, "a trial was run twice"


# Writes: the description, then a line for each trial.
@pytest.mark.parametrize(
    "what, count, finished",
    [("before", 2, 0), ("middle", 1, 0), ("middle", 6, 4), ("after", 6, 5), ("after", 19, 18)],
)
def test_killed_at(what, count, finished, tmp_path, whole):
    process = start(what, count, *SEARCH, "--workers", 2, "--out", tmp_path, how=("-c", KILLER))
    _, err = process.communicate()
    assert process.returncode == -signal.SIGKILL, err
    assert len(records(tmp_path)) == finished
    assert_resumes(tmp_path, whole)


def test_killed_from_outside_while_trials_run(tmp_path, whole):
    process = start(*SEARCH, "--workers", 2, "--out", tmp_path)
    file = tmp_path / "trials.jsonl"
    while process.poll() is None and not (file.exists() and file.read_bytes().count(b"\n") > 3):
        time.sleep(0.001)
    process.kill()
    process.communicate()
    assert len(records(tmp_path)) >= 3
    assert_resumes(tmp_path, whole)


def test_a_folder_is_not_taken_twice(tmp_path, whole):
    words = ("search", "--grid", "layers=1", "--width", 8, "--epochs", 1, "--out", tmp_path)
    result_of(*words)
    again = call(*words)
    assert again.exit_code == 1 and "this folder already contains a search" in again.stderr
    other = call(*words, "--resume", "--batch-size", 8)
    assert other.exit_code == 1
    assert "the search was started with batch_size None, got 8; use the same value" in other.stderr
