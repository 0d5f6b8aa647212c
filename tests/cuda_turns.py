"""Serialized threads of a simulated block: each runs to the next barrier, then the next thread
does, from the first to the last or from the last to the first.

This detects a missing barrier: in one of the two orders a thread reads a value that another thread
should have written before, or has already overwritten. It also detects a barrier that only some
threads reach.
"""

import contextlib
import threading

import numpy as np
from numba.cuda.simulator import kernel
from numba.cuda.simulator.kernelapi import Dim3


class _Worker(threading.Thread):
    """A host thread that runs simulated threads, from barrier to barrier. The simulator reads the
    index of the simulated thread from its attributes.
    """

    def __init__(self):
        super().__init__(daemon=True)
        self.turn, self.paused = threading.Lock(), threading.Lock()
        self.turn.acquire(), self.paused.acquire()
        self.start()

    def run(self):
        while True:
            self.turn.acquire()
            try:
                self.target()
            except BaseException as error:
                self.failure = error
            self.ended = True
            self.paused.release()

    def assign(self, target, block, point, shape):
        self.target, self.ended, self.failure, self.abort = target, False, None, False
        self.blockIdx, self.threadIdx = Dim3(*block), Dim3(*point)
        self.thread_id = np.ravel_multi_index(point, shape, order="F")

    def resume(self):
        self.turn.release()
        self.paused.acquire()

    def syncthreads(self):
        self.paused.release()
        self.turn.acquire()
        if self.abort:
            raise RuntimeError("another thread has failed")


_idle = []


def _run(backwards):
    def run(self, block, *arguments):
        points = list(np.ndindex(*self._block_dim))
        ordered, waiting, failure, ended = points[::-1] if backwards else points, [], None, 0
        for point in ordered:
            worker = _idle.pop() if _idle else _Worker()
            worker.assign(lambda: self._f(*arguments), block, point, self._block_dim)
            waiting.append(worker)
            worker.resume()
            if worker.ended:
                ended += 1
                failure = failure or worker.failure
                _idle.append(waiting.pop())
        while waiting:
            if ended and not failure:
                failure = AssertionError("some threads of a block wait, others have ended")
            for worker in list(waiting):
                worker.abort = failure is not None
                worker.resume()
                if worker.ended:
                    ended += 1
                    failure = failure or worker.failure
                    waiting.remove(worker)
                    _idle.append(worker)
        if failure:
            raise failure

    return run


@contextlib.contextmanager
def turns(backwards=False):
    """Context manager: serialize the threads of simulated kernels."""
    before = kernel.BlockManager.run
    kernel.BlockManager.run = _run(backwards)
    try:
        yield
    finally:
        kernel.BlockManager.run = before
