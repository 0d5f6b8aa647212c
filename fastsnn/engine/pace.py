"""Adaptive thread count of a parallel region: all threads, or one thread on a busy machine.

Threads of a parallel region wait for each other at its end. On a busy machine one of them often has
no processor, and a step can take a hundred times as long as with one thread. The choice changes no
bit of a result: the slices of the work are the same, and one thread processes them in turn.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType

from fastsnn.engine import threads as processors

ADAPT = True  # False: always all threads, for measurements

SHARE = 0.25  # slow steps with all threads may cost this fraction of the time with one thread
# Maximum credit of fast steps, so that a single slow step changes nothing.
CREDIT_STEPS, CREDIT_S = 10, 0.02
# The cost of one slow step is capped at this, and the cap doubles with each further slow step: a
# process that was stopped for an hour must not use one thread for the next four hours.
FIRST_COST_S = 1.0
# Measurements with one thread are repeated. Before the first repetition, steps with all threads run
# for 10 times the cost of a measurement; before the second for 50 times, then for 250 times.
REMEASURE = (10, 50, 250)


@dataclass
class _Timing:
    """Seconds per row of steps with about the same number of rows. The minimum of the last three
    steps is used, the one in which no thread waited for a processor.
    """

    single: list[float] = field(default_factory=list)  # last three steps with one thread
    parallel: list[float] = field(default_factory=list)  # last three steps with all threads
    best_single: float | None = None  # minimum of `single`; None before the second step
    best_parallel: float = 0.0  # minimum of `parallel`
    parallel_steps: int = 0  # steps with all threads since the last one with one thread
    parallel_s: float = 0.0  # total seconds of those steps
    remeasured: int = 0  # repeated measurements with one thread; index in REMEASURE


class Pace:
    """Measures the parallel regions of one caller and chooses the thread count of the next one.

    `debt` is the number of seconds by which steps with all threads were slower than with one
    thread. While it is positive, one thread is used, and each step reduces the debt by a quarter of
    its own time. So under any load the total time is at most 1.25 times that of one thread, plus
    the first slow steps. When the debt is paid off, all threads are tried again; the less the last
    trial cost, the sooner.

    Parameters
    ----------
    first : int >= 0
        Regions with all threads before one thread is measured in two regions; 0: the first two
        regions are these measurements.
    longest : float
        Regions that take longer, in seconds, are not measured with one thread: their threads wait
        for each other only once, which costs little in comparison.
    clock : callable
        Returns seconds, such as `time.perf_counter`.
    """

    def __init__(
        self,
        first: int = 0,
        longest: float = float("inf"),
        clock: Callable[[], float] = time.perf_counter,
    ):
        self.first, self.longest, self.clock = first, longest, clock
        self.sizes: dict[tuple[int, int], _Timing] = {}
        self.debt = -CREDIT_S
        self.strikes = 0

    def region(self, threads: int, rows: int) -> Pace:
        """Return the context of a parallel region over `rows` rows with at most `threads`
        threads.
        """
        self._single = ADAPT and self.use_one_thread(threads, rows)
        self._guard = processors.region(1 if self._single else threads)
        return self

    def __enter__(self) -> None:
        self._guard.__enter__()
        self._start = self.clock()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        seconds = self.clock() - self._start
        self._guard.__exit__(kind, error, trace)
        del self._guard  # a lock cannot be copied or pickled
        if ADAPT and kind is None:
            self.record(seconds, self._single)

    def use_one_thread(self, threads: int, rows: int) -> bool:
        """Return True if the next region should use one thread."""
        key = threads, rows.bit_length()
        size = self.sizes.get(key)
        if size is None:
            size = self.sizes[key] = _Timing()
        self._size, self._rows = size, rows
        if self.debt > 0 and size.best_single is not None:
            return True
        if size.best_parallel * rows > self.longest:
            return False
        if size.best_single is None:
            return size.parallel_steps >= self.first or len(size.single) > 0
        cost = max(size.best_single - size.best_parallel, 0.1 * size.best_single) * rows
        return size.parallel_s > REMEASURE[size.remeasured] * cost

    def record(self, seconds: float, single: bool) -> None:
        """Record the seconds of the region for which `use_one_thread` was last called."""
        size, rows = self._size, self._rows
        if single:
            if size.best_single is not None and self.debt <= 0:
                size.remeasured = min(size.remeasured + 1, len(REMEASURE) - 1)
            size.single = [*size.single[-2:], seconds / rows]
            size.best_single = min(size.single) if len(size.single) > 1 else None
            size.parallel_steps, size.parallel_s = 0, 0.0
            if self.debt > 0:
                self.debt = max(self.debt - SHARE * seconds, 0.0)
            return
        size.parallel = [*size.parallel[-2:], seconds / rows]
        size.best_parallel = min(size.parallel)
        size.parallel_steps += 1
        size.parallel_s += seconds
        if size.best_single is None:
            return
        expected = size.best_single * rows
        cost = min(seconds - expected, FIRST_COST_S * 2**self.strikes)
        credit = -max(CREDIT_STEPS * expected, CREDIT_S)
        self.debt = max(self.debt + cost, credit)
        if self.debt > 0:
            self.strikes = min(self.strikes + 1, 20)
        elif self.debt == credit:
            self.strikes = 0
