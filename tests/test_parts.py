"""More threads than panels: threads share panels, wait at a barrier after every layer, and
change no bit.
"""

import numpy as np
import pytest

import fastsnn as fs
from fastsnn.engine import cpu
from fastsnn.engine.plan import plan
from fastsnn.engine.schedule import shares_panels
from fastsnn.kernels.cpu import regions
from fastsnn.kernels.cpu.program import rectangle, share
from fastsnn.kernels.cpu.shape import CHUNK, PANEL

LAYERS = 5


def trained(threads, shared, batch, monkeypatch, rate=0.1, width=150):
    """Return losses, parameters after three steps as integers, and the parallel regions of the
    last step.
    """
    monkeypatch.setattr(cpu, "shares_panels", lambda *_: shared)
    rng = np.random.default_rng(1)
    x = rng.normal(size=(batch, 90)).astype(np.float32)
    y = rng.integers(0, 7, batch)
    net = fs.mlp(90, 7, LAYERS, width, rate, seed=2)
    trainer = fs.Trainer(net, optimizer=fs.SGD(0.01, momentum=0.9), threads=threads, seed=3)
    losses = [trainer.step(x, y) for _ in range(3)]
    bits = np.concatenate([a.ravel() for a in net.state_dict().values()]).view(np.uint32)
    return losses, bits, int(trainer._engine.job[regions.REGIONS])


@pytest.mark.parametrize("batch", [1, PANEL, 3 * PANEL + 1])
@pytest.mark.parametrize("threads", [2, 3, 16, 64])
def test_bits_are_those_of_one_thread(threads, batch, monkeypatch):
    losses, bits, _ = trained(1, False, batch, monkeypatch)
    for shared, count in ((False, 2), (True, 2 * (LAYERS + 1) + 2)):
        # Not shared: rows, weights. Shared: loading, each layer forward, the loss, each layer but
        # the first backward, the weights.
        found = trained(threads, shared, batch, monkeypatch)
        assert found[0] == losses and np.array_equal(found[1], bits) and bits.size
        assert found[2] == count


def test_masks_that_are_made_again_are_shared_too(monkeypatch):
    def run(threads, shared):
        monkeypatch.setattr(cpu, "shares_panels", lambda *_: shared)
        layers = [fs.Dense(100), fs.Tanh(), fs.Dropout(0.3), fs.Dense(80), fs.Tanh()]
        net = fs.Network([*layers, fs.Dropout(0.2), fs.Dense(3)], input_size=5)
        trainer = fs.Trainer(net, threads=threads)
        x = np.random.default_rng(0).normal(size=(20, 5)).astype(np.float32)
        trainer.step(x, np.arange(20) % 3)
        return np.concatenate([a.ravel() for a in net.state_dict().values()])

    assert np.array_equal(run(1, False), run(5, True))


@pytest.mark.parametrize("units", [1, CHUNK, CHUNK + 1, 5 * CHUNK - 1])
@pytest.mark.parametrize("panels", [1, 2, 7])
@pytest.mark.parametrize("parts", [1, 2, 3, 8, 50])
@pytest.mark.parametrize("split", [0, 1])
def test_every_unit_of_every_panel_has_one_part(units, panels, parts, split):
    seen = np.zeros((panels, units), int)
    sizes = []
    for part in range(parts):
        cell, last, chunks = share(panels, units, split, part, parts)
        sizes.append(last - cell)
        while cell < last:
            p, q, n, m, following = rectangle(cell, last, chunks, units)
            assert cell < following <= last and n % CHUNK == 0
            seen[p:q, n:m] += 1
            cell = following
    assert (seen == 1).all()
    assert max(sizes) - min(sizes) <= (1 if split else chunks)


def test_the_schedule_is_chosen_by_its_cost():
    def shares(layers, width, samples, threads):
        net = fs.mlp(784, 10, layers, width)
        planned = plan(net.nodes, net.layout, -(-samples // PANEL), training=True)
        return shares_panels(planned.table, samples, threads)

    wide, panels = (8, 1024), 4
    assert shares(*wide, panels * PANEL, 16)  # most threads would have nothing to do
    assert shares(*wide, panels * PANEL, 3)  # one of them twice as much as the others
    assert not shares(*wide, panels * PANEL, panels)
    assert not shares(*wide, panels * PANEL, 2)
    assert not shares(*wide, PANEL, 1)
    assert not shares(16, 8, PANEL, 2)  # barriers would cost more than the work
