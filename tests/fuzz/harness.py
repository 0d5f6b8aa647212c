"""Feed damaged files to every reader of files.

    python tests/fuzz/harness.py --cases 200000 --jobs 2     # the long run: 10 minutes

A target is a file target_NAME.py with SEEDS, a list of small valid files (bytes); SUFFIX, the file
suffix; read(path), which reads a file and uses the result; and optionally mutate(data, rng), which
damages a file and repairs its checksums. tests/test_fuzz.py runs a few cases of each.

A fault is: an exception that is not one of GOOD, a warning, an error message of several lines or
more than LETTERS characters, a process that dies, more than SECONDS, or GROWTH of memory. The input
is saved, and the exit code is 1.
"""

import argparse
import importlib.util
import multiprocessing
import multiprocessing.connection
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from pathlib import Path

HERE = Path(__file__).resolve().parent
if str(HERE.parent) not in sys.path:
    sys.path.insert(0, str(HERE.parent))  # targets may use the helpers of the tests

from fuzz import mutate  # noqa: E402

GOOD = (ValueError, TypeError, RuntimeError, FloatingPointError)  # and OSErrors of any kind
LETTERS, SECONDS, SLOW, GROWTH = 1000, 5.0, 2.0, 500 << 20
ADDRESSES = 6 << 30  # bytes that a worker may allocate in addition to its memory at the start
BATCH = 1000  # cases of a worker process
KEPT = 5  # saved inputs per kind of fault
FAULTS = Path(tempfile.gettempdir(), "fastsnn-fuzz-faults")
PAGE = os.sysconf("SC_PAGE_SIZE")


def targets(folder: Path = HERE) -> dict:
    """Return {name: module} of the targets in a folder."""
    found = {}
    for path in sorted(Path(folder).glob("target_*.py")):
        name = path.stem.removeprefix("target_")
        spec = importlib.util.spec_from_file_location(f"fuzz.{path.stem}", path)
        found[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(found[name])
    return found


def outcome(target, path: Path) -> tuple[str, str | None]:
    """Return (result of reading the file, its fault or None)."""
    try:
        target.read(path)
        return "accepted", None
    except Slow:
        raise
    except Exception as error:
        return type(error).__name__, fault(error)


def fault(error: Exception) -> str | None:
    """Return the fault of an exception as the response to a damaged file, or None."""
    if type(error) not in GOOD and not isinstance(error, OSError):
        frames = traceback.extract_tb(error.__traceback__)
        own = [frame for frame in frames if "fastsnn" in frame.filename] or frames
        where = f"{Path(own[-1].filename).name}:{own[-1].lineno}"
        return f"{type(error).__name__} at {where}: {str(error)[:200]}"
    if isinstance(error.__cause__, MemoryError):
        return f"MemoryError below: {str(error)[:200]}"
    if "\n" in str(error):
        return f"several lines: {str(error)[:200]!r}"
    if len(str(error)) > LETTERS:
        return f"{len(str(error))} letters: {str(error)[:200]!r}"
    return None


class Slow(BaseException):
    pass


def _too_slow(*_):
    raise Slow


def case_of(target, seed: int, name: str, index: int) -> bytes:
    rng = random.Random(f"{seed}:{name}:{index}")
    case = mutate.draw(rng, len(target.SEEDS), hasattr(target, "mutate"))
    return mutate.apply(target, case)


def work(target, name, seed, first, last, path, pipe, done) -> None:
    """Run cases first..last-1 in a separate process; `done` is the index of the current case."""
    warnings.simplefilter("error")
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)  # readers may print; their output is not checked
    signal.signal(signal.SIGALRM, _too_slow)
    with open("/proc/self/statm") as file:
        most = int(file.read().split()[0]) * PAGE + ADDRESSES
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    for index in range(first, last):
        data = case_of(target, seed, name, index)
        path.write_bytes(data)
        done.value = index
        before, peak = _resident(), _peak()
        began = time.perf_counter()
        signal.setitimer(signal.ITIMER_REAL, SECONDS)
        try:
            kind, wrong = outcome(target, path)
        except Slow:
            kind, wrong = "slow", f"slower than {SECONDS} s"
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        seconds = time.perf_counter() - began
        grown = max(0, _peak() - before) if _peak() > peak else 0  # a new peak belongs to this case
        if wrong is None and grown > GROWTH:
            wrong = f"memory: grown by {grown >> 20} MiB ({kind})"
        pipe.send((index, kind, wrong, seconds, grown))
    pipe.send(None)


def _resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * PAGE


def _peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


class Tally:
    """Results of the cases of one target."""

    def __init__(self, name, target, folder):
        self.name, self.target, self.folder = name, target, folder
        self.kinds, self.faults = Counter(), {}
        self.slow = self.grown = 0
        self.seconds = 0.0

    def add(self, index, kind, wrong, seconds, grown, data):
        self.kinds[kind] += 1
        self.slow += seconds > SLOW
        self.grown = max(self.grown, grown)
        self.seconds += seconds
        if wrong is None:
            return
        key = wrong.split(": ")[0]
        saved = self.faults.setdefault(key, [])
        path = None
        if len(saved) < KEPT:
            self.folder.mkdir(parents=True, exist_ok=True)
            path = self.folder / f"{self.name}-{index}{self.target.SUFFIX}"
            path.write_bytes(data)
            print(f"  FAULT {self.name} case {index}: {wrong}\n    {path}", flush=True)
        saved.append(path)

    def line(self) -> str:
        refused = ", ".join(f"{k} {n:,}" for k, n in self.kinds.most_common() if k != "accepted")
        faults = sum(map(len, self.faults.values()))
        return (
            f"{self.name}: {sum(self.kinds.values()):,} cases, "
            f"{self.kinds['accepted']:,} accepted, refused: {refused or 'none'}; "
            f"{self.slow} slower than {SLOW:g} s, memory grew by at most {self.grown >> 20} MiB, "
            f"{faults} faults, {self.seconds:.0f} s of reading"
        )


def run(chosen: dict, cases: int, seed: int, jobs: int, folder: Path, scratch: Path) -> list[Tally]:
    """Run `cases` cases of all targets together, in `jobs` concurrent processes."""
    tallies = {name: Tally(name, target, folder) for name, target in chosen.items()}
    each = -(-cases // len(chosen))
    waiting = [
        (name, first, min(first + BATCH, each))
        for first in range(0, each, BATCH)
        for name in chosen
    ][::-1]
    running = []
    while waiting or running:
        while waiting and len(running) < jobs:
            running.append(Worker(tallies[waiting[-1][0]], *waiting.pop()[1:], seed, scratch))
        pipes = {worker.pipe: worker for worker in running}
        multiprocessing.connection.wait(list(pipes), timeout=1)
        for worker in running[:]:
            rest = worker.collect()
            if rest is not None:
                running.remove(worker)
                if rest[0] < rest[1]:
                    waiting.append((worker.tally.name, *rest))
    return list(tallies.values())


class Worker:
    """A process with a batch of cases, and the results it has sent."""

    def __init__(self, tally, first, last, seed, scratch):
        context = multiprocessing.get_context("fork")  # targets are imported once
        self.tally, self.next, self.last, self.seed = tally, first, last, seed
        self.pipe, end = context.Pipe(duplex=False)
        self.done = context.Value("q", first, lock=False)
        self.folder = Path(tempfile.mkdtemp(dir=scratch))
        self.path = self.folder / f"case{tally.target.SUFFIX}"
        arguments = (tally.target, tally.name, seed, first, last, self.path, end, self.done)
        self.process = context.Process(target=work, args=arguments, daemon=True)
        self.process.start()
        end.close()
        self.heard = time.monotonic()

    def data(self, index):
        return case_of(self.tally.target, self.seed, self.tally.name, index)

    def collect(self) -> tuple[int, int] | None:
        """Receive results; return (next case, last) once the process has ended, else None."""
        dead = None
        try:
            while self.pipe.poll():
                sent = self.pipe.recv()
                self.heard = time.monotonic()
                if sent is None:
                    return self._end()
                wrong = sent[2]
                self.tally.add(*sent, self.data(sent[0]) if wrong else b"")
                self.next = sent[0] + 1
        except EOFError:
            self.process.join()
            dead = f"died with exit code {self.process.exitcode}"
        if dead is None and time.monotonic() - self.heard > 4 * SECONDS:
            self.process.kill()
            dead = f"hung for {4 * SECONDS:g} s"
        if dead is None:
            return None
        index = self.done.value
        self.tally.add(index, "died", f"process {dead}", 0.0, 0, self.data(index))
        self.next = max(self.next, index + 1)
        return self._end()

    def _end(self):
        self.process.join()
        self.pipe.close()
        shutil.rmtree(self.folder, ignore_errors=True)
        return self.next, self.last


def main(words=None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--cases", type=int, default=20_000, help="of all targets together")
    parser.add_argument("--target", action="append", help="one of them; may be given again")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2, help="processes at a time")
    parser.add_argument(
        "--faults", type=Path, default=Path("fuzz-faults"), help="folder for inputs"
    )
    parser.add_argument("--folder", type=Path, default=HERE, help="where the targets lie")
    parser.add_argument("--case", type=int, help="write this case of --target to --faults, read it")
    chosen = parser.parse_args(words)
    known = targets(chosen.folder)
    if unknown := set(chosen.target or ()) - known.keys():
        parser.error(f"--target: must be one of {', '.join(known)}, got {', '.join(unknown)}")
    known = {name: known[name] for name in chosen.target or known}
    if chosen.case is not None:
        ((name, target),) = known.items()
        chosen.faults.mkdir(parents=True, exist_ok=True)
        path = chosen.faults / f"{name}-{chosen.case}{target.SUFFIX}"
        path.write_bytes(case_of(target, chosen.seed, name, chosen.case))
        print(path, flush=True)
        return print(target.read(path)) or 0
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=memory, prefix="fastsnn-fuzz-") as scratch:
        began = time.monotonic()
        tallies = run(known, chosen.cases, chosen.seed, chosen.jobs, chosen.faults, Path(scratch))
    for tally in tallies:
        print(tally.line())
    cases = sum(sum(tally.kinds.values()) for tally in tallies)
    print(f"{cases:,} cases in {time.monotonic() - began:.0f} s")
    return int(any(tally.faults for tally in tallies))


if __name__ == "__main__":
    sys.exit(main())
