"""How many of the threads work in a step: all of them, or one while other programs need the rest.

Threads that work together wait for each other. On a busy machine one of them is always without a
processor, and a step can take a hundred times as long as with one thread. The bits of a result do
not depend on the choice: the slices of the work stay, one thread does them in turn.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from fastsnn import threads as processors

ADAPT = True  # False: all threads, always (for measurements)

SHARE = 0.25  # of the time with one thread that slower steps with all threads may cost
# What faster steps may save up for slower ones, so that a hiccup changes nothing.
CREDIT_STEPS, CREDIT_S = 10, 0.02
# One step costs at most this; the next one that is too slow twice as much, and so on: a process
# that was stopped for an hour does not work with one thread for four.
FIRST_COST_S = 1.0
# A step with one thread is measured after so many times what it loses, then 5 times as many, ...
LOOKS = (10, 50, 250)


@dataclass
class _Size:
    """Steps of about the same number of rows; seconds per row. Of the last three the shortest is
    taken: that without waiting for a processor.
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

    A ledger holds the seconds that steps with all threads took longer than one thread needs. While
    it is above zero, one thread works, and pays off a quarter of its own time. So the total is at
    most 1.25 times that of one thread, and the first slow steps, under any load; and a step is
    tried with all threads again and again, the sooner the less the last trial cost.

    Parameters
    ----------
    first : int >= 0
        Regions with all threads before one thread is measured, twice. 0: the first two are.
    longest : float
        Seconds of a region above which one thread is not tried: where threads meet only once, they
        lose little.
    clock : function
        Seconds as of `time.perf_counter`.
    """

    def __init__(self, first: int = 0, longest: float = float("inf"), clock=time.perf_counter):
        self.first, self.longest, self.clock = first, longest, clock
        self.sizes: dict[tuple[int, int], _Size] = {}
        self.debt = -CREDIT_S
        self.strikes = 0

    def region(self, threads: int, rows: int) -> Pace:
        """The context of a region with `rows` rows, of at most `threads` processors."""
        self._one = ADAPT and self.alone(threads, rows)
        self._guard = processors.region(1 if self._one else threads)
        return self

    def __enter__(self):
        self._guard.__enter__()
        self._start = self.clock()

    def __exit__(self, kind, error, trace):
        seconds = self.clock() - self._start
        self._guard.__exit__(kind, error, trace)
        self._guard = None  # a lock cannot be copied or pickled
        if ADAPT and kind is None:
            self.took(seconds, self._one)

    def alone(self, threads: int, rows: int) -> bool:
        """Whether one thread does the next region."""
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
        loss = max(size.one - size.all, 0.1 * size.one) * rows  # of a look
        return size.since > LOOKS[size.looks] * loss

    def took(self, seconds: float, alone: bool) -> None:
        """Tell the seconds of the region that `alone` was last asked about."""
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
