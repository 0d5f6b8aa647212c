"""`fastsnn train --data mnist` in PyTorch: the same data, network, starting weights and schedule.

`python -m fastsnn.bench.train_torch` reads the request {"mode": "eager" | "compile", "threads",
"layers", "epochs"} from stdin and answers with the test accuracy and the seconds of each epoch.
"""

from __future__ import annotations

import time

import numpy as np

from fastsnn import data
from fastsnn.network import mlp
from fastsnn.runs.config import RunConfig
from fastsnn.schedules import CosineDecay
from fastsnn.trainer import shuffled

from . import child


def main():
    request = child.request()
    import torch

    torch.set_num_threads(request["threads"])
    torch.manual_seed(0)
    given = RunConfig(data="mnist", layers=request["layers"], epochs=request["epochs"])
    dataset = data.load(
        "mnist", validation=given.validation, seed=given.seed, standardize=given.standardize
    )
    config = given.settled(len(dataset.train), dataset.task)
    net = _network(mlp(dataset.n_features, 10, config.layers, config.width, config.dropout), torch)
    run = torch.compile(net) if request["mode"] == "compile" else net
    x, y = torch.from_numpy(dataset.train.x), torch.from_numpy(dataset.train.y)
    optimizer = torch.optim.SGD(
        net.parameters(), lr=config.learning_rate, momentum=config.momentum,
        weight_decay=config.weight_decay,
    )  # fmt: skip
    loss, schedule = torch.nn.CrossEntropyLoss(), CosineDecay()
    size = config.batch_size
    batches, seconds = -(-len(x) // size), []
    for epoch in range(config.epochs):
        start = time.perf_counter()
        net.train()
        rows = torch.from_numpy(shuffled(len(x), config.seed, epoch))
        for number, chosen in enumerate(rows.split(size)):
            factor = schedule.factor(epoch * batches + number, config.epochs * batches, [])
            optimizer.param_groups[0]["lr"] = config.learning_rate * factor
            optimizer.zero_grad(set_to_none=True)
            value = loss(run(x[chosen]), y[chosen])
            value.backward()
            optimizer.step()
            value.item()  # a training run reads its loss, to detect divergence and show progress
        _evaluate(net, dataset.validation, torch)  # as in fastsnn, to choose the best epoch
        seconds.append(time.perf_counter() - start)
    child.answer(
        {
            "test_accuracy": _evaluate(net, dataset.test, torch), "epoch_s": seconds,
            "peak_memory_mib": child.peak_memory_mib(),
        }
    )  # fmt: skip


def _network(ours, torch):
    modules, fan_in = [], ours.input_size
    for layer in ours.layers:
        name = type(layer).__name__
        if name == "Dense":
            modules.append(torch.nn.Linear(fan_in, layer.units))
            fan_in = layer.units
        else:
            modules.append(getattr(torch.nn, name)(*([layer.rate] if "Dropout" in name else [])))
    net = torch.nn.Sequential(*modules)
    net.load_state_dict({k: torch.from_numpy(v) for k, v in ours.state_dict().items()})
    return net


def _evaluate(net, part, torch):
    net.eval()
    with torch.inference_mode():
        blocks = torch.from_numpy(part.x).split(2048)
        outputs = torch.cat([net(block) for block in blocks]).numpy()
    return float(np.mean(outputs.argmax(1) == part.y))


if __name__ == "__main__":
    main()
