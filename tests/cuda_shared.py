"""A network that is trained on host and device, in the simulator. Run by test_cuda.py."""

import copy
import gc

import numpy as np
from cuda_simulated import data, equal, network

import fastsnn as fs


def test_no_update_of_either_side_is_lost():
    x, y = data()
    net = network()
    gpu = fs.Trainer(net, optimizer=fs.SGD(0.1), backend="cuda")
    gpu.step(x, y)
    cpu = fs.Trainer(net, optimizer=fs.SGD(0.1))
    before = net.parameters.copy()
    cpu.step(x, y)
    after = net.parameters.copy()
    assert not np.array_equal(after, before)
    gpu.step(x, y)  # the network predicts on the host, with the new parameters
    expected = copy.deepcopy(net)
    for rows in (len(x), 1, 1):
        assert np.array_equal(net.forward(x[:rows]), expected.forward(x[:rows]))
    gpu.step(x, y)
    before = after
    del gpu  # the only owner of the parameters on the device
    gc.collect()
    after = net.parameters.copy()
    assert not np.array_equal(after, before)


def test_a_load_during_a_step_on_the_device_wins(monkeypatch):
    x, y = data()
    net, other = network(), network(seed=8)
    gpu = fs.Trainer(net, optimizer=fs.SGD(0.1), backend="cuda")
    run = gpu._engine._run

    def interrupted(*arguments):
        net.load_state_dict(other.state_dict())
        return run(*arguments)

    def loaded_after(*arguments):
        result = run(*arguments)
        net.load_state_dict(other.state_dict())
        return result

    monkeypatch.setattr(gpu._engine, "_run", interrupted)
    gpu.step(x, y)
    monkeypatch.setattr(gpu._engine, "_run", loaded_after)
    gpu.step(x, y)
    equal(net.state_dict(), other.state_dict())
    assert np.array_equal(net.forward(x), other.forward(x))
