"""The worker that compares the GPU's results with the CPU's: `python -m fastsnn.bench.gpu.check`.

A task is [check] or [check, mode]. The answer is the figures of the check; a failed check raises an
error that describes the difference. With "tiny" in the request, networks are small enough for the
simulator.
"""

from __future__ import annotations

import os
import tempfile
import time

import numpy as np

import fastsnn as fs
from fastsnn.engine.byterows import ByteRows

from . import networks
from .expect import require, same
from .gradients import gradients
from .runner import serve


def masks(tiny):
    """The masks of alpha-dropout have the CPU's bits."""
    from ...kernels.cpu import dropout as cpu
    from ...kernels.cuda import dropout as gpu

    units, samples = (7, 21) if tiny else (1000, 4096)
    count = 0
    for seed, step, site, rate in (
        (0, 0, 0, 0.5),
        (2**64 - 1, 2**32 - 1, 999, 0.05),
        (7, 3, 1, 1e-4),
    ):
        given = seed, step, site, 16, samples, units, rate
        mask = gpu.drop_mask(*given)
        require(np.array_equal(mask, cpu.drop_mask(*given)), f"other masks for {given}")
        count += mask.size
    return {"elements": count}


def bits(tiny):
    """Float32: gradients, ten steps and predictions of an SNN have the CPU's bits."""
    shape = networks.TINY[0] if tiny else networks.SHAPES[3]
    x, y = networks.rows(shape[2], shape[3], shape[4])
    pair = [
        networks.trainer(networks.plain(shape), b, optimizer=fs.Adam(0.001))
        for b in ("cpu", "cuda")
    ]
    same(*(t.gradients(x, y) for t in pair), "gradients")
    steps = 3 if tiny else 10
    for _ in range(steps):
        for t in pair:
            t.step(x, y)
    same(*(t.network.state_dict() for t in pair), "weights")
    same(*(t.state_dict()[0] for t in pair), "optimizer")
    same(*({"outputs": t.network.forward(x)} for t in pair), "predictions")
    return {"steps": steps}


def _fitted(tiny, mode):
    """Train on batches of one size and a last batch of another, twice."""
    x, y = networks.rows(8 if tiny else 1000, networks.INPUTS, networks.OUTPUTS)
    made = networks.trainer(networks.everything(tiny), "cuda", mode, optimizer=fs.AdamW(0.003))
    made.fit(x, y, epochs=2, batch_size=3 if tiny else 300, validation_data=(x[:9], y[:9]))
    return made


def two_runs(tiny, mode):
    """Two training runs of the same network have the same bits."""
    one, two = (_fitted(tiny, mode) for _ in range(2))
    same(one.network.state_dict(), two.network.state_dict(), "weights")
    return {"steps": one.step_count}


def graph(tiny, mode):
    """A graph of a step has the bits of its kernels launched one by one."""
    from ...kernels.cuda import device

    with_graph = _fitted(tiny, mode)
    graphs = [run.is_graph for _, run in with_graph._engine.launches.values()]
    require(any(graphs), "no step has become a graph")
    device.recording = False
    try:
        without = _fitted(tiny, mode)
    finally:
        device.recording = True
    plain_ones = [run.is_graph for _, run in without._engine.launches.values()]
    require(not any(plain_ones), "a graph was used although graphs are switched off")
    same(with_graph.network.state_dict(), without.network.state_dict(), "weights")
    return {"graphs": sum(graphs), "steps": with_graph.step_count}


def files(tiny):
    """Model files of either backend predict the same on the other."""
    made = _fitted(tiny, "float32")
    x = networks.rows(50, networks.INPUTS, networks.OUTPUTS)[0]
    with tempfile.TemporaryDirectory() as folder:
        paths = [os.path.join(folder, name) for name in ("gpu.safetensors", "cpu.safetensors")]
        made.network.save(paths[0])
        on_cpu = fs.load(paths[0])
        on_cpu.save(paths[1])
        contents = []
        for path in paths:
            with open(path, "rb") as file:
                contents.append(file.read())
        require(contents[0] == contents[1], "the files differ")
        back = fs.load(paths[1]).to_device()
    outputs = made.network.forward(x)
    require(np.array_equal(outputs, back.forward(x)), "predictions differ after a round trip")
    difference = float(np.abs(outputs - on_cpu.forward(x)).max())
    require(difference < 1e-4, f"predictions on the CPU differ by {difference:.2g}")
    return {"bytes": len(contents[0]), "difference": difference}


def moves(tiny):
    """A training run that moves from the CPU to the GPU and back equals one that stays."""
    shape = networks.TINY[0] if tiny else networks.SHAPES[3]
    x, y = networks.rows(shape[2], shape[3], shape[4])
    straight, network, state = (
        networks.trainer(networks.plain(shape), "cpu"),
        networks.plain(shape),
        None,
    )
    for backend in ("cpu", "cuda", "cpu"):
        there = networks.trainer(network, backend)
        if state is not None:
            there.load_state_dict(*state)
        for _ in range(2):
            there.step(x, y)
            straight.step(x, y)
        state = there.state_dict()
    same(network.state_dict(), straight.network.state_dict(), "weights")
    return {"steps": straight.step_count}


def divergence(tiny):
    """A loss that is not finite updates nothing."""
    made = networks.trainer(networks.everything(tiny), "cuda", optimizer=fs.Adam())
    before = made.network.state_dict()
    before["3.weight"][:] = 3e38
    made.network.load_state_dict(before)
    try:
        made.step(*networks.rows(11, networks.INPUTS, networks.OUTPUTS))
    except FloatingPointError:
        same(made.network.state_dict(), before, "weights")
        return {}
    raise AssertionError("no FloatingPointError")


def mnist(tiny):
    """Train 32 layers on MNIST as `fastsnn train` does; measure seconds to a test accuracy of 97.5
    %.

    Kernels are compiled before.
    """
    from fastsnn import data
    from fastsnn.runs.config import RunConfig
    from fastsnn.runs.run import build

    goal, options = 0.975, {"data": "mnist", "layers": 32}
    if tiny:
        goal, options = 0.2, {"data": "digits", "layers": 1, "width": 8, "epochs": 1}
        options["batch_size"] = 512
    elif not os.path.isdir(os.path.join(os.environ.get("FASTSNN_DATA", ""), "mnist")):
        return {"left_out": "no MNIST in the folder FASTSNN_DATA"}
    config = RunConfig(**options, backend="cuda")
    dataset = data.load(config.data, validation=config.validation, seed=0, keep_bytes=True)
    config = config.settled(len(dataset.train), dataset.task)
    x, y = dataset.train.x, dataset.train.y
    _, made, schedule = build(config, dataset)
    some = 3 * config.batch_size + len(x) % config.batch_size  # batches of both sizes
    warm = x.take(np.arange(some)) if isinstance(x, ByteRows) else x[:some]
    made.fit(warm, y[:some], epochs=1, batch_size=config.batch_size)
    _, made, schedule = build(config, dataset)
    held, truth = made.network._placed(dataset.test.x), dataset.test.y
    reached: list[float] = []
    start = time.perf_counter()

    class Watch:
        def on_epoch_end(self, t, history):
            accuracy = t._figures(held, truth)["accuracy"]
            history[-1]["test_accuracy"] = accuracy
            if accuracy >= goal and not reached:
                reached.append(time.perf_counter() - start)

    history = made.fit(
        x, y, config.epochs, config.batch_size, callbacks=[Watch()], schedule=schedule
    )
    seconds, last = time.perf_counter() - start, history[-1]["test_accuracy"]
    require(bool(reached) or tiny, f"{goal:.1%} is not reached; at the end {last:.2%}")
    return {"reached_s": reached[0] if reached else None, "all_s": seconds,
            "epochs": len(history), "test_accuracy": last,
            "epoch_s": float(np.median([record["seconds"] for record in history]))}  # fmt: skip


OF_FLOAT32 = {f.__name__: f for f in (masks, bits, files, moves, divergence, mnist)}
OF_MODES = {f.__name__: f for f in (gradients, two_runs, graph)}


def tasks(modes) -> list[list[str]]:
    """Return all checks but that of MNIST, which is also a timing; the most informative first."""
    before, after = ("masks", "bits"), ("files", "moves", "divergence")
    return [[name] for name in before] + [
        [name, mode] for mode in modes for name in ("gradients", "graph", "two_runs")
    ] + [[name] for name in after]  # fmt: skip


def perform(task, request):
    name, *mode = task
    start = time.perf_counter()
    found = (OF_MODES if mode else OF_FLOAT32)[name](request["tiny"], *mode)
    return {**found, "seconds": time.perf_counter() - start}


if __name__ == "__main__":
    serve(perform)
