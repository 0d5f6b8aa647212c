"""The worker that times fastsnn on the GPU: `python -m fastsnn.bench.gpu.ours`.

Tasks: [case, mode]: a whole training step as in `Trainer.fit`, and its kernels; ["warm", case,
mode]: compile the kernels without timing; ["machine"].
"""

from __future__ import annotations

import importlib.metadata

import numpy as np

import fastsnn as fs

from .. import systems, timing
from ..case import Case
from .cases import kind_of, steps_of, work_of
from .runner import serve

REPEATS = 20  # of the kernels of a kind; fewer than the steps in the job table


def driver():
    from ...kernels.cuda import device

    return device


def trainer(case: Case, mode: str):
    more = {} if mode == "float32" else {"precision": mode}
    return fs.Trainer(
        systems.network(case), optimizer=fs.Adam(systems.ADAM_RATE), backend="cuda", **more
    )


class Steps:
    """A call runs `count` steps on rows in device memory and reads their losses."""

    def __init__(self, case: Case, mode: str):
        self.count = steps_of(case)
        self.sizes = [case.batch] * self.count
        rng = np.random.default_rng(0)
        x = rng.standard_normal((case.batch * self.count, case.inputs), dtype=np.float32)
        y = rng.integers(0, case.sizes[-1], len(x))
        self.trainer = trainer(case, mode)
        self.x = x
        data = self.trainer._batch(x, y, None)
        self.batch = self.trainer._engine.place(data)._replace(index=np.arange(len(x)))

    def __call__(self):
        rates = [systems.ADAM_RATE] * self.count
        self.trainer._steps(self.batch, 0, self.sizes, rates, self.x)

    @property
    def launches(self):
        ((_, run),) = self.trainer._engine.launches.values()
        return run


def step(case: Case, mode: str, seconds: float) -> dict:
    call = Steps(case, mode)
    for _ in range(timing.WARM_UP):
        call()
    (first,) = driver().seconds([call])
    calls = int(max(timing.LEAST, min(200, seconds / max(first, 1e-6))))
    taken = driver().seconds([call] * calls)
    kernels = kernels_of(call, case)  # the graph of a step is unchanged
    return {
        **timing.spread([t / call.count for t in taken]),
        "steps_per_call": call.count,
        "graph": call.launches.is_graph,
        "launches": len(call.launches.calls),
        "kernels": kernels,
    }


def kernels_of(call: Steps, case: Case) -> list[dict]:
    """Return the seconds of all kernels of each kind in a step.

    They are launched as a separate graph, since the host could not launch them fast enough.
    """
    run, engine, device = call.launches, call.trainer._engine, driver()
    groups: dict[str, list] = {}
    for name, one in zip(run.names, run.calls, strict=True):
        groups.setdefault(kind_of(name), []).append(one)
    rows = []
    for kind, launches in groups.items():
        device.write(engine.slots, 0, np.zeros(len(engine.slots), np.int64))
        graph = device.recorded(launches)
        if graph is None:
            raise RuntimeError("the driver records no graph")
        graph()
        flops, nbytes = work_of(kind, case)
        taken = device.seconds([graph] * REPEATS)
        rows.append(
            {"kind": kind, "launches": len(launches), **timing.spread(taken), "flops": flops,
             "bytes": nbytes}
        )  # fmt: skip
    device.write(engine.slots, 0, np.zeros(len(engine.slots), np.int64))
    return rows


def machine() -> dict:
    from fastsnn.engine import device

    versions = {}
    for name in ("numba-cuda", "cuda-core", "cuda-bindings", "torch"):
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {"gpu": device.describe(), "driver": driver().driver_version(), "versions": versions}


def perform(task, request):
    if task == ["machine"]:
        return machine()
    if task[0] == "warm":
        call = Steps(Case.parse(task[1]), task[2])
        call()
        return {"launches": len(call.launches.calls)}
    case, mode = task
    return step(Case.parse(case), mode, request["seconds"])


if __name__ == "__main__":
    serve(perform)
