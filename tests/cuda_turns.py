"""The threads of a simulated block one after another: each runs to the next barrier, then the next
one does, from the first to the last or from the last to the first.

A barrier that is missing shows: in one of the two orders a thread finds what another one should
have written later, or has overwritten already. So does one that only some threads come to.
"""

import contextlib
import threading

import numpy as np
from numba.cuda.simulator import kernel
from numba.cuda.simulator.kernelapi import Dim3


class _Worker(threading.Thread):
    """Runs simulated threads, from one barrier to the next when it is told to; the simulator asks
    it which one it is.
    """

    def __init__(self):
        super().__init__(daemon=True)
        self.turn, self.over = threading.Lock(), threading.Lock()
        self.turn.acquire(), self.over.acquire()
        self.start()

    def run(self):
        while True:
            self.turn.acquire()
            try:
                self.target()
            except BaseException as error:
                self.failure = error
            self.ended = True
            self.over.release()

    def begin(self, target, block, point, shape):
        self.target, self.ended, self.failure, self.abort = target, False, None, False
        self.blockIdx, self.threadIdx = Dim3(*block), Dim3(*point)
        self.thread_id = np.ravel_multi_index(point, shape, order="F")

    def go_on(self):
        self.turn.release()
        self.over.acquire()

    def syncthreads(self):
        self.over.release()
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
            worker.begin(lambda: self._f(*arguments), block, point, self._block_dim)
            waiting.append(worker)
            worker.go_on()
            if worker.ended:
                ended += 1
                failure = failure or worker.failure
                _idle.append(waiting.pop())
        while waiting:
            if ended and not failure:
                failure = AssertionError("some threads of a block wait, others have ended")
            for worker in list(waiting):
                worker.abort = failure is not None
                worker.go_on()
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
    """Simulated kernels run in turns inside."""
    before = kernel.BlockManager.run
    kernel.BlockManager.run = _run(backwards)
    try:
        yield
    finally:
        kernel.BlockManager.run = before
