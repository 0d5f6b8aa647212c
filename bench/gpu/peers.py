"""The worker that times PyTorch on the GPU: `python -m fastsnn.bench.gpu.peers`.

Tasks: [case, mode, system]: the step of ours.py; ["warm", case, mode, system]: compile it without
timing; ["product", mode] and ["copy"]: ceilings of the machine.
"""

from __future__ import annotations

import gc
import time

from .. import systems, timing
from ..case import Case
from .cases import COMPILED, steps_of
from .runner import serve

PRODUCT, COPY = 8192, 1 << 30  # rows and columns of a matrix; bytes
FIRST_STEPS = 3  # warm-up before a step is captured
SMALL_PRODUCT, SMALL_COPY = 64, 1 << 16  # without a GPU: to test the program


def where() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def set_mode(mode: str) -> None:
    import torch

    torch.set_float32_matmul_precision("high" if mode == "tf32" else "highest")


def seconds(calls) -> list[float]:
    """Return the seconds of each call from events after the calls, as `device.seconds` does."""
    import torch

    if where() == "cpu":
        times = [time.perf_counter()]
        for call in calls:
            call()
            times.append(time.perf_counter())
        return [b - a for a, b in zip(times, times[1:], strict=False)]
    events = [torch.cuda.Event(enable_timing=True) for _ in range(len(calls) + 1)]
    events[0].record()
    for call, event in zip(calls, events[1:], strict=True):
        call()
        event.record()
    events[-1].synchronize()
    return [a.elapsed_time(b) / 1e3 for a, b in zip(events, events[1:], strict=False)]


def steps(system: str, case: Case, mode: str):
    """Return a call of `steps_of(case)` steps that reads the last loss."""
    import torch

    set_mode(mode)
    place = where()
    whole = system.startswith("torch-whole-graph") and place == "cuda"
    with torch.device(place):
        net = systems.torch_network(case, 8)
    x, y = (torch.from_numpy(a).to(place) for a in case.data())
    more = {"capturable": True} if whole else {}
    update = torch.optim.Adam(net.parameters(), lr=systems.ADAM_RATE, fused=True, **more)
    criterion = torch.nn.CrossEntropyLoss()

    def loss(x, y):
        return criterion(net(x), y)

    if system in COMPILED:
        kind = "reduce-overhead" if system == "torch-graphs" else "default"
        loss = torch.compile(loss, mode=kind)

    def step():
        update.zero_grad(set_to_none=True)
        # Autocast would cache the rounded weights of the captured step.
        precision = {"enabled": mode == "bf16", "cache_enabled": not whole}
        with torch.autocast(place, torch.bfloat16, **precision):
            value = loss(x, y)
        value.backward()
        update.step()
        return value

    if whole:
        step = captured(step)

    def call():
        for _ in range(steps_of(case)):
            value = step()
        return value.item()

    return call


def captured(step):
    """Capture `step` as one CUDA graph after a warm-up on a side stream, as PyTorch requires;
    returns a function that replays it.
    """
    import torch

    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(FIRST_STEPS):
            step()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        value = step()

    def replay():
        graph.replay()
        return value

    return replay


def clear() -> None:
    import torch

    torch._dynamo.reset()
    gc.collect()
    if where() == "cuda":
        torch.cuda.empty_cache()


def measured(call, enough: float) -> list[float]:
    for _ in range(timing.WARM_UP):
        call()
    (first,) = seconds([call])
    return seconds([call] * int(max(timing.LEAST, min(200, enough / max(first, 1e-6)))))


def product(mode: str, enough: float) -> dict:
    import torch

    set_mode(mode)
    n = PRODUCT if where() == "cuda" else SMALL_PRODUCT
    kind = torch.bfloat16 if mode == "bf16" else torch.float32
    a, b, c = (torch.randn(n, n, device=where(), dtype=kind) for _ in range(3))
    taken = timing.spread(measured(lambda: torch.mm(a, b, out=c), enough))
    return {**taken, "tflops": 2 * n**3 / taken["median_s"] / 1e12}


def copy(enough: float) -> dict:
    import torch

    nbytes = COPY if where() == "cuda" else SMALL_COPY
    a = torch.ones(nbytes // 4, device=where())
    b = torch.empty_like(a)
    taken = timing.spread(measured(lambda: b.copy_(a), enough))
    return {**taken, "gb_s": 2 * nbytes / taken["median_s"] / 1e9}


def perform(task, request):
    enough = request["seconds"]
    if task[0] == "product":
        return product(task[1], enough)
    if task == ["copy"]:
        return copy(enough)
    warm = task[0] == "warm"
    case, mode, system = task[-3:]
    case = Case.parse(case)
    call = steps(system, case, mode)
    try:
        if warm:
            call()
            return {}
        taken = [t / steps_of(case) for t in measured(call, enough)]
        return {**timing.spread(taken), "steps_per_call": steps_of(case)}
    finally:
        del call
        clear()


if __name__ == "__main__":
    serve(perform)
