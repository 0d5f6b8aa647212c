"""Repeated launches become a CUDA graph: what is recorded, when, and the fallback. With a mock
driver that records its calls; on a GPU `fastsnn bench gpu --check` compares bits.
"""

import gc
import importlib.util
import logging
import weakref

import pytest

if importlib.util.find_spec("numba_cuda") is None:
    pytest.skip("numba-cuda is not installed: pip install '.[cuda13]'", allow_module_level=True)

from fastsnn.engine import device as on_device
from fastsnn.kernels.cuda import code, device

pytestmark = pytest.mark.skipif(device.SIMULATED, reason="the simulator has no driver")


class Driver:
    """Mock of cuda.core. calls: its calls so far; failing: calls that raise, and the message."""

    def __init__(self):
        self.calls, self.failing, self.built = [], {}, []

    def note(self, *words):
        if words[0] in self.failing:
            error = type("CUDAError", (Exception,), {"__module__": "cuda.core"})
            raise error(self.failing[words[0]])
        self.calls.append(words)

    # The interface that kernels/cuda/device.py uses.

    def launch(self, stream, config, kernel, *arguments):
        self.note("record" if isinstance(stream, Builder) else "launch", kernel, arguments)
        if isinstance(stream, Builder):
            stream.inside.append((kernel, arguments))

    def Device(self):
        return self

    def set_current(self):
        self.note("set_current")

    def create_graph_builder(self):
        self.built.append(Builder(self))
        return self.built[-1]


class Builder:
    def __init__(self, driver):
        self.driver, self.inside, self.ended, self.closed = driver, [], False, False

    def begin_building(self, mode):
        self.driver.note("begin", mode)

    def end_building(self):
        self.ended = True
        self.driver.note("end")

    def complete(self):
        assert self.ended
        self.driver.note("complete")
        return Graph(self.driver, tuple(self.inside))

    def close(self):
        self.closed = True


class Graph:
    def __init__(self, driver, inside):
        self.driver, self.inside = driver, inside

    def upload(self, stream):
        self.driver.note("upload", int(stream.handle))

    def launch(self, stream):
        self.driver.note("graph", int(stream.handle), self.inside)


class Kernel:
    """Mock of a kernel: its machine code is its name."""

    def __init__(self, name):
        self.name, self.threads, self.kernel = name, 32, name

    def bound(self, grid, *arguments):
        return device.Launch(self, grid, arguments)


class Array:
    def __init__(self, address):
        self.device_ctypes_pointer = type("Pointer", (), {"value": address})


@pytest.fixture
def driver(monkeypatch):
    import cuda.core

    driver = Driver()
    for name in ("Device", "launch"):
        monkeypatch.setattr(cuda.core, name, getattr(driver, name))
    modules = type("Modules", (), {"code": code, "device": device})
    monkeypatch.setattr(on_device, "kernels", lambda: modules)
    monkeypatch.setattr(code, "load", lambda kernels: driver.note("load", len(kernels)))
    return driver


def launches(*names):
    made = on_device.Launches()
    for i, name in enumerate(names):
        made(Kernel(name), (i + 1, 1), Array(1000 + i), i)
    return made


INSIDE = (("a", (1000, 0)), ("b", (1001, 1)), ("a", (1002, 2)))
PLAIN = [("launch", *one) for one in INSIDE]
RECORDING = [
    ("set_current",), ("begin", "relaxed"), *(("record", *one) for one in INSIDE), ("end",),
    ("complete",), ("upload", 0),
]  # fmt: skip
GRAPH = ("graph", 0, INSIDE)


def test_recorded_at_the_second_run_and_then_repeated(driver):
    run = launches("a", "b", "a")
    run.run()
    assert driver.calls == [("load", 3), *PLAIN] and not run.is_graph
    run.run()
    assert driver.calls[4:] == [*RECORDING, GRAPH] and run.is_graph
    for _ in range(5):
        run.run()
    assert driver.calls[4 + len(RECORDING) :] == [GRAPH] * 6
    (builder,) = driver.built
    assert builder.closed


def test_one_launch_is_no_graph(driver):
    run = launches("a")
    for _ in range(3):
        run.run()
    assert driver.calls[1:] == PLAIN[:1] * 3


def test_nothing_to_launch(driver):
    run = launches()
    run.run(), run.run()
    assert driver.calls == [("load", 0)]


def test_it_can_be_switched_off(driver, monkeypatch):
    monkeypatch.setattr(device, "recording", False)
    run = launches("a", "b", "a")
    for _ in range(3):
        run.run()
    assert driver.calls[1:] == PLAIN * 3


def test_two_lists_are_two_graphs(driver):
    one, two = launches("a", "b"), launches("b", "a")
    for _ in range(2):
        one.run(), two.run()
    graphs = [words[2] for words in driver.calls if words[0] == "graph"]
    assert [[name for name, _ in inside] for inside in graphs] == [["a", "b"], ["b", "a"]]


def test_the_arrays_live_as_long_as_the_graph(driver):
    array = Array(7)
    seen = weakref.ref(array)
    call = device.recorded([Kernel("a").bound(1, array), Kernel("b").bound(1, 3)])
    del array
    gc.collect()
    assert seen() is not None
    call()
    assert driver.calls[-1] == ("graph", 0, (("a", (7,)), ("b", (3,))))
    del call
    gc.collect()
    assert seen() is None


@pytest.mark.parametrize("failing", ["set_current", "begin", "record", "end", "complete", "upload"])
def test_without_graphs_kernels_are_launched_one_by_one(driver, failing, caplog):
    run = launches("a", "b", "a")
    driver.failing = {failing: "CUDA_ERROR_NOT_SUPPORTED"}
    with caplog.at_level(logging.WARNING, "fastsnn"):
        for _ in range(4):
            run.run()
    assert [words for words in driver.calls if words[0] == "launch"] == PLAIN * 4
    (record,) = caplog.records  # one warning, one attempt
    assert "no CUDA graph (CUDA_ERROR_NOT_SUPPORTED)" in record.getMessage()
    assert len(driver.built) <= 1
    assert failing == "begin" or all(builder.ended for builder in driver.built)


@pytest.mark.parametrize("failing", ["launch", "graph"])
def test_errors_of_launches_are_one_line(driver, failing):
    run = launches("a", "b", "a")
    driver.failing = {failing: "CUDA_ERROR_ILLEGAL_ADDRESS:\nsomewhere"}
    what = {"launch": "launching a", "graph": "launching a graph of kernels"}[failing]
    with pytest.raises(RuntimeError) as error:
        run.run(), run.run()
    assert str(error.value) == (
        f'backend "cuda": {what} failed: CUDA_ERROR_ILLEGAL_ADDRESS: somewhere'
    )


def test_other_errors_are_not_converted(driver, monkeypatch):
    run = launches("a", "b", "a")
    run.run()
    monkeypatch.setattr(Driver, "note", lambda *words: 1 / 0)
    monkeypatch.setattr(device, "recording", False)
    with pytest.raises(ZeroDivisionError):
        run.run()


def test_seconds_between_events(driver, monkeypatch):
    """One event before the first call and one after each."""
    order = []

    class Event:
        def __init__(self):
            self.at = None

        def record(self):
            self.at = len(order)
            order.append("event")

        def synchronize(self):
            assert self.at == len(order) - 1

        def elapsed_time(self, other):
            return 1e3 * (other.at - self.at)

    monkeypatch.setattr(device.cuda, "event", Event)
    assert device.seconds([lambda: order.append("a"), lambda: order.extend("bb")]) == [2, 3]
    assert order == ["event", "a", "event", "b", "b", "event"]
