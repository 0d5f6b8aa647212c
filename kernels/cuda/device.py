"""All calls of the CUDA driver: memory, copies, launches, graphs, events; errors in one line each.

Everything runs on the default stream, in the order of the calls; only copies to the host wait. In
the simulator the same functions work on host memory.
"""

import contextlib
import ctypes
import importlib
import logging
import time

import numpy as np
from numba import cuda
from numba.cuda.core import config

log = logging.getLogger("fastsnn")

SIMULATED = bool(config.ENABLE_CUDASIM)
USE_CPU = 'use backend "cpu"'
recording = True  # whether repeated launches are recorded as CUDA graphs


def import_compiler():
    """Import the modules that Numba-CUDA imports at its first compilation, to detect a broken
    installation. Raises ImportError or AttributeError.
    """
    if not SIMULATED:
        importlib.import_module("numba.cuda.cudaimpl")


def require():
    """Raise RuntimeError, in one line, if no kernel can run."""
    if SIMULATED:
        return
    if not cuda.is_available():
        problem = " ".join(str(cuda.cuda_error() or "no compiler library NVVM").split())
        if "insufficient" in problem.lower():
            raise RuntimeError(
                f'backend "cuda": the NVIDIA driver is too old for this CUDA ({problem}); update '
                f"it, pip install '.[cuda12]' for an older one, or {USE_CPU}"
            )
        raise RuntimeError(
            f'backend "cuda": an NVIDIA GPU and its driver are required, found none '
            f"({problem}); {USE_CPU}"
        )
    with reporting("the first use of the GPU"):
        devices = len(cuda.gpus)
        if not devices:
            raise RuntimeError(f'backend "cuda": the driver reports no NVIDIA GPU; {USE_CPU}')
        if architecture() < (7, 0):
            raise RuntimeError(
                f'backend "cuda": compute capability 7.0 or newer is required, this GPU has '
                f"{'.'.join(map(str, architecture()))}; {USE_CPU}"
            )


def explained(error, what):
    """Return a driver error as a RuntimeError of one line. what: the operation that failed."""
    text = " ".join(str(error).split())
    lower = text.lower()
    if isinstance(error, MemoryError) or "out_of_memory" in lower or "out of memory" in lower:
        return RuntimeError(
            f'backend "cuda": out of device memory in {what}{_memory()}; take smaller batches or a '
            f"smaller network, end other programs on the GPU, or {USE_CPU}"
        )
    if "unsupported_ptx" in lower or "insufficient" in lower or "no_binary_for_gpu" in lower:
        return RuntimeError(
            f'backend "cuda": the NVIDIA driver is too old for this CUDA ({text}); update it, '
            f"pip install '.[cuda12]' for an older one, or {USE_CPU}"
        )
    return RuntimeError(f'backend "cuda": {what} failed: {text}')


def _memory():
    try:
        free, total = cuda.current_context().get_memory_info()
    except Exception:  # a broken context cannot be queried
        return ""
    return f" ({free / 2**20:,.0f} of {total / 2**20:,.0f} MiB are free)"


def _is_driver_error(error):
    """Return True if an exception comes from the driver or a package that calls it."""
    module = type(error).__module__
    return module.startswith(("cuda.", "numba.cuda.cudadrv")) or isinstance(error, MemoryError)


@contextlib.contextmanager
def reporting(what):
    """Context manager: convert driver errors to one RuntimeError that names the operation."""
    try:
        yield
    except Exception as error:
        if not _is_driver_error(error):
            raise
        raise explained(error, what) from error


def architecture():
    """Return the compute capability, as (9, 0)."""
    return tuple(cuda.get_current_device().compute_capability)[:2]


def name():
    """Return the name of the GPU."""
    found = cuda.get_current_device().name
    return found.decode() if isinstance(found, bytes) else str(found)


def driver_version():
    """Return the newest CUDA version that the driver supports, as "13.0"."""
    if SIMULATED:
        return "simulator"
    return "{}.{}".format(*cuda.cudadrv.driver.get_version())


def _describe(shape, dtype):
    nbytes = int(np.prod(shape)) * np.dtype(dtype).itemsize
    return f"an array of {nbytes / 2**20:,.1f} MiB"


def zeros(*shape, dtype=np.float32):
    """Return an array of zeros on the device."""
    with reporting(_describe(shape, dtype)):
        array = cuda.device_array(shape, dtype)
        if array.size:
            _clear(array)
        return array


def _clear(array):
    if SIMULATED:
        array[:] = 0
        return
    cuda.cudadrv.driver.device_memset(array.gpu_data, 0, array.nbytes)


def to_device(array):
    """Return a copy on the device; of an empty array one zero, since it needs an address."""
    array = np.ascontiguousarray(array)
    if not array.size:
        return zeros(1, dtype=array.dtype)
    with reporting(_describe(array.shape, array.dtype)):
        return cuda.to_device(array)


def write(target, first, values):
    """Copy host values (n,) into a device array (m,), from element `first` on."""
    with reporting("a copy to the device"):
        target[first : first + len(values)].copy_to_device(np.ascontiguousarray(values))


def read(source, out=None):
    """Copy to the host, after waiting for all previous launches."""
    with reporting("a copy from the device"):
        return source.copy_to_host(out)


def synchronize():
    with reporting("a kernel"):
        cuda.synchronize()


class Function:
    """A compiled kernel, loaded on the device."""

    def __init__(self, cubin, name, threads):
        from cuda.core import ObjectCode

        with reporting(f"loading {name}"):
            cuda.current_context()  # the device's primary context
            self.object = ObjectCode.from_cubin(cubin, name=name)
            self.kernel = self.object.get_kernel(name)
        self.name, self.threads = name, threads

    def bound(self, grid, arguments):
        return Launch(self, grid, arguments)


class Launch:
    """A kernel bound to its grid and arguments; call it without arguments to launch. It holds
    references to the arrays.
    """

    def __init__(self, function, grid, arguments):
        from cuda.core import LaunchConfig, Stream, launch

        self.name, self.arguments = function.name, arguments
        self._launch, self._stream = launch, Stream.from_handle(0)
        self._fixed = (
            LaunchConfig(grid=grid, block=function.threads), function.kernel,
            *map(_flat, arguments),
        )  # fmt: skip

    def record(self, builder):
        """Add the launch to the graph that `builder` records."""
        self._launch(builder, *self._fixed)

    def __call__(self):
        try:
            self._launch(self._stream, *self._fixed)
        except Exception as error:
            if not _is_driver_error(error):
                raise
            raise explained(error, f"launching {self.name}") from error


def recorded(launches):
    """Return a function that runs all launches in their order as one CUDA graph, or None if the
    driver cannot record it. Each must have run before: loading a kernel at its first launch would
    end the recording.
    """
    if SIMULATED:
        return lambda: [call() for call in launches]
    from cuda.core import Device, Stream

    try:
        device = Device()
        device.set_current()  # keeps the primary context
        # On a separate stream, since the default one cannot be recorded. Nothing runs on it.
        builder = device.create_graph_builder()
        # "relaxed": memory may be freed during the recording, by this and other threads.
        builder.begin_building("relaxed")
        try:
            for launch in launches:
                launch.record(builder)
        finally:
            builder.end_building()
        graph = builder.complete()
        builder.close()
        stream = Stream.from_handle(0)
        graph.upload(stream)
    except Exception as error:  # of any kind: without a graph the steps are the same
        log.warning("fastsnn: no CUDA graph (%s); kernels are launched one by one", error)
        return None

    def call(owned=tuple(launches)):  # references to the launches keep their arrays alive
        with reporting("launching a graph of kernels"):
            graph.launch(stream)

    return call


def seconds(calls):
    """Run calls and return the seconds on the device between the end of one and the end of the
    next, from CUDA events; waits for all of them. In the simulator: seconds on the host.
    """
    if SIMULATED:
        times = [time.perf_counter()]
        for call in calls:
            call()
            times.append(time.perf_counter())
        return np.diff(times).tolist()
    with reporting("taking times"):
        events = [cuda.event() for _ in range(len(calls) + 1)]
        events[0].record()
        for call, event in zip(calls, events[1:], strict=True):
            call()
            event.record()
        events[-1].synchronize()
        pairs = zip(events, events[1:], strict=False)
        return [first.elapsed_time(second) / 1e3 for first, second in pairs]


def _flat(argument):
    """Return an argument as cuda.core takes it: an array as its address; a Python int, which it
    passes as 64 bits like an address; a float as float32.
    """
    if isinstance(argument, float):
        return ctypes.c_float(argument)
    if isinstance(argument, int):
        return argument
    return int(argument.device_ctypes_pointer.value)
