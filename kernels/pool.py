"""Start Numba's threads with a short spin time before they sleep."""

import os

from numba.np.ufunc import parallel

from .locks import Lock

# By default, threads of GNU OpenMP spin 300,000 times (5 to 14 ms) before they sleep. On a busy
# machine they occupy the processors of the threads that they wait for, in every region. 20,000
# spins take 0.3 to 1 ms, longer than the time between two steps.
SPIN = "20000"
CHOSEN = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")  # if the user has set one of them, SPIN is not used
_starting = Lock()


def launch() -> None:
    """Start the threads at the first call. OpenMP reads the spin count when it is loaded; the
    variable is removed again afterwards, because child processes would inherit it.
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
