"""The threads of Numba's parallel loops: started so that they do not wait by spinning for long."""

import os

from numba.np.ufunc import parallel

from fastsnn.kernels.locks import Lock

# GNU OpenMP's threads spin 300,000 times (5 to 14 ms) before they sleep. On a busy machine they
# take the processor from those they wait for, in every region. These are 0.3 to 1 ms: longer than
# from one step to the next.
SPIN = "20000"
CHOSEN = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")  # by the user
_starting = Lock()


def launch() -> None:
    """Start the threads, at the first call. OpenMP reads its variable while it is loaded; later,
    and for child processes, the environment is as it was before.
    """
    with _starting:
        if any(name in os.environ for name in CHOSEN):
            parallel._launch_threads()
            return
        os.environ["GOMP_SPINCOUNT"] = SPIN
        try:
            parallel._launch_threads()
        finally:
            os.environ.pop("GOMP_SPINCOUNT", None)
