"""Adaptive thread count of a step: all threads, or one while other programs need the processors.

Threads of a parallel region wait for each other. On a busy machine one of them often has no
processor, and a step can take a hundred times as long as with one thread. The choice changes no
bit of a result: the slices of the work stay the same, and one thread does them in turn.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType

from fastsnn.engine import threads as processors

ADAPT = True  # False: all threads, always (for measurements)

SHARE = 0.25  # slow steps with all threads may cost this share of the time with one thread
# Credit that fast steps can accumulate, so that a single slow step changes nothing.
CREDIT_STEPS, CREDIT_S = 10, 0.02
# The cost of one slow step is capped at this, and the cap doubles with each further slow step: a
# process that was stopped for an hour must not use one thread for the next four hours.
FIRST_COST_S = 1.0
# Steps with all threads run for 10 times the cost of a measurement with one thread before the next
# one; for 50 and 250 times after the first and the second.
LOOKS = (10, 50, 250)


@dataclass
class _Size:
    """Seconds per row of steps with about the same number of rows. The shortest of the last three
    counts: in that one no thread had to wait for a processor.
    """

    alone: list[float] = field(default_factory=list)  # the last three with one thread
    together: list[float] = field(default_factory=list)  # the last three with all threads
    one: float | None = None  # shortest of `alone`, from the second on
    all: float = 0.0  # shortest of `together`
    count: int = 0  # steps with all threads since the last one with one thread
    since: float = 0.0  # their seconds
    looks: int = 0


class Pace:
    """Times the parallel regions of one caller and chooses the threads of the next one.

    `debt` holds the seconds by which steps with all threads were slower than with one thread. While
    it is positive, one thread works and pays off a quarter of its own time. So under any load the
    total time is at most 1.25 times that of one thread, plus the first slow steps. All threads are
    tried again and again; the less the last trial cost, the sooner.

    Parameters
    ----------
    first : int >= 0
        Regions with all threads before one thread is measured, twice; 0: the first two regions
        measure it.
    longest : float
        One thread is not tried for regions that take more seconds than this: threads that wait
        for each other only once lose little.
    clock : function
        Returns seconds, like `time.perf_counter`.
    """

    def __init__(
        self,
        first: int = 0,
        longest: float = float("inf"),
        clock: Callable[[], float] = time.perf_counter,
    ):
        self.first, self.longest, self.clock = first, longest, clock
        self.sizes: dict[tuple[int, int], _Size] = {}
        self.debt = -CREDIT_S
        self.strikes = 0

    def region(self, threads: int, rows: int) -> Pace:
        """Context of a parallel region over `rows` rows, of at most `threads` threads."""
        self._one = ADAPT and self.alone(threads, rows)
        self._guard = processors.region(1 if self._one else threads)
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
            self.took(seconds, self._one)

    def alone(self, threads: int, rows: int) -> bool:
        """Return True if the next region gets one thread."""
        key = threads, rows.bit_length()
        size = self.sizes.get(key)
        if size is None:
            size = self.sizes[key] = _Size()
        self._size, self._rows = size, rows
        if self.debt > 0 and size.one is not None:
            return True
        if size.all * rows > self.longest:
            return False
        if size.one is None:
            return size.count >= self.first or len(size.alone) > 0
        loss = max(size.one - size.all, 0.1 * size.one) * rows  # by a measurement
        return size.since > LOOKS[size.looks] * loss

    def took(self, seconds: float, alone: bool) -> None:
        """Record the seconds of the region that the last call of `alone` was about."""
        size, rows = self._size, self._rows
        if alone:
            if size.one is not None and self.debt <= 0:
                size.looks = min(size.looks + 1, len(LOOKS) - 1)
            size.alone = [*size.alone[-2:], seconds / rows]
            size.one = min(size.alone) if len(size.alone) > 1 else None
            size.count, size.since = 0, 0.0
            if self.debt > 0:
                self.debt = max(self.debt - SHARE * seconds, 0.0)
            return
        size.together = [*size.together[-2:], seconds / rows]
        size.all = min(size.together)
        size.count += 1
        size.since += seconds
        if size.one is None:
            return
        expected = size.one * rows
        cost = min(seconds - expected, FIRST_COST_S * 2**self.strikes)
        credit = -max(CREDIT_STEPS * expected, CREDIT_S)
        self.debt = max(self.debt + cost, credit)
        if self.debt > 0:
            self.strikes = min(self.strikes + 1, 20)
        elif self.debt == credit:
            self.strikes = 0
