"""All calls of the driver: memory, copies, launches, graphs, times; its errors in one line each.

Everything runs on the default stream, in the order of the calls; only copies to the host wait. In
the simulator the same names work on host memory.
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
recording = True  # whether launches that are repeated become graphs


def import_compiler():
    """Import what Numba-CUDA otherwise imports with its first compilation, to see that it works.
    Raises ImportError or AttributeError.
    """
    if not SIMULATED:
        importlib.import_module("numba.cuda.cudaimpl")


def require():
    """Raises RuntimeError, in one line, where no kernel can run."""
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
            raise RuntimeError(f'backend "cuda": the driver knows no NVIDIA GPU; {USE_CPU}')
        if architecture() < (7, 0):
            raise RuntimeError(
                f'backend "cuda": compute capability 7.0 or newer is required, this GPU has '
                f"{'.'.join(map(str, architecture()))}; {USE_CPU}"
            )


def explained(error, what):
    """An error of the driver as a RuntimeError of one line."""
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
    except Exception:  # a broken context says nothing
        return ""
    return f" ({free / 2**20:,.0f} of {total / 2**20:,.0f} MiB are free)"


def _of_driver(error):
    """True if an exception comes from the driver or one of the packages that call it."""
    module = type(error).__module__
    return module.startswith(("cuda.", "numba.cuda.cudadrv")) or isinstance(error, MemoryError)


@contextlib.contextmanager
def reporting(what):
    """Errors of the driver inside become one RuntimeError that says what was being done."""
    try:
        yield
    except Exception as error:
        if not _of_driver(error):
            raise
        raise explained(error, what) from error


def architecture():
    """Compute capability, as (9, 0)."""
    return tuple(cuda.get_current_device().compute_capability)[:2]


def name():
    found = cuda.get_current_device().name
    return found.decode() if isinstance(found, bytes) else str(found)


def driver_version():
    """The newest CUDA that the driver knows, as "13.0"."""
    if SIMULATED:
        return "simulator"
    return "{}.{}".format(*cuda.cudadrv.driver.get_version())


def _described(shape, dtype):
    nbytes = int(np.prod(shape)) * np.dtype(dtype).itemsize
    return f"an array of {nbytes / 2**20:,.1f} MiB"


def zeros(*shape, dtype=np.float32):
    """An array of zeros on the device."""
    with reporting(_described(shape, dtype)):
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
    """A copy on the device; at least one element, since an empty array has no address there."""
    array = np.ascontiguousarray(array)
    if not array.size:
        return zeros(1, dtype=array.dtype)
    with reporting(_described(array.shape, array.dtype)):
        return cuda.to_device(array)


def write(target, first, values):
    """Copy host values (n,) into a device array (m,), from element `first` on."""
    with reporting("a copy to the device"):
        target[first : first + len(values)].copy_to_device(np.ascontiguousarray(values))


def read(source, out=None):
    """Copy to the host: waits for all that was launched before."""
    with reporting("a copy from the device"):
        return source.copy_to_host(out)


def synchronize():
    with reporting("a kernel"):
        cuda.synchronize()


class Function:
    """A compiled kernel in the memory of the device."""

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
    """A kernel with its grid and arguments, all prepared: a call without arguments launches it. The
    arrays live as long as it may be called.
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
        """Launched whenever the graph is that `builder` makes."""
        self._launch(builder, *self._fixed)

    def __call__(self):
        try:
            self._launch(self._stream, *self._fixed)
        except Exception as error:
            if not _of_driver(error):
                raise
            raise explained(error, f"launching {self.name}") from error


def recorded(launches):
    """A call that makes all the launches in their order, as one graph; None where that cannot be
    had. They must have been made before: a kernel that comes onto the device with its first launch
    would disturb the recording.
    """
    if SIMULATED:
        return lambda: [call() for call in launches]
    from cuda.core import Device, Stream

    try:
        device = Device()
        device.set_current()  # the primary context, as it is
        # On a stream of its own, since the default one cannot be recorded. Nothing runs on it.
        builder = device.create_graph_builder()
        # Memory may be freed meanwhile, here and in other threads.
        builder.begin_building("relaxed")
        try:
            for one in launches:
                one.record(builder)
        finally:
            builder.end_building()
        graph = builder.complete()
        builder.close()
        stream = Stream.from_handle(0)
        graph.upload(stream)
    except Exception as error:  # whatever it was: without a graph the steps are the same
        log.warning("fastsnn: no CUDA graph (%s); kernels are launched one by one", error)
        return None

    def call(keep=tuple(launches)):  # and with them the arrays
        with reporting("launching a graph of kernels"):
            graph.launch(stream)

    return call


def seconds(calls):
    """The seconds on the device from the end of each call to that of the next one, by events; waits
    for all. In the simulator those of the host.
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
        return [one.elapsed_time(other) / 1e3 for one, other in pairs]


def _flat(argument):
    """The parameter of a kernel for one argument, as cuda.core takes it: of an array its address;
    a whole number of Python counts as an address too, which is one of 64 bits.
    """
    if isinstance(argument, float):
        return ctypes.c_float(argument)
    if isinstance(argument, int):
        return argument
    return int(argument.device_ctypes_pointer.value)
