"""Engines implement their interface, a batch has the order of the kernels' arguments, and no two
arrays of a plan overlap.
"""

import inspect
import itertools

import pytest

from fastsnn import methods
from fastsnn.engine import cpu, cpu_predict, cuda, cuda_predict, interface
from fastsnn.engine.batch import Batch
from fastsnn.engine.plan import device_plan, plan
from fastsnn.kernels import program
from fastsnn.kernels.cpu import regions, shape


@pytest.mark.parametrize("kind", [
    cpu.TrainingEngine, cuda.TrainingEngine, cpu_predict.PredictionEngine,
    cuda_predict.PredictionEngine,
])  # fmt: skip
def test_engines_implement_the_interface(kind):
    """Python refuses an engine that lacks a method; arguments are compared here."""
    (described,) = kind.__bases__
    assert described.__module__ == interface.__name__ and not kind.__abstractmethods__
    for name in described.__abstractmethods__ - {"state"}:
        wanted, found = (inspect.signature(getattr(k, name)) for k in (described, kind))
        assert list(wanted.parameters) == list(found.parameters), name
        assert not getattr(kind, name).__doc__, "the interface describes it"


@pytest.mark.parametrize("entry", [regions.steps_serial, regions.step_parallel])
def test_a_batch_has_the_order_of_the_kernels_arguments(entry):
    names = list(inspect.signature(entry.dispatcher.py_func).parameters)
    first = names.index("x")
    assert tuple(names[first : first + len(Batch._fields)]) == Batch._fields


def arrays(table, stretches, samples, on_cpu):
    """Return (first float, floats) of all arrays in the activations of a training plan.

    `stretches`: number of panels or rows.
    """
    yield table[0, program.X_AT], stretches * table[0, program.X_STRIDE]
    for row in table:
        size = stretches * row[program.H_STRIDE]
        yield row[program.H_AT], size
        if row[program.OP] in (program.BATCH_NORM, program.LAYER_NORM):
            yield row[program.NORMAL_AT], size
            numbers = samples if row[program.OP] == program.LAYER_NORM else 2 * row[program.FAN_OUT]
            yield row[program.STATISTICS_AT], numbers
        if on_cpu and row[program.OP] == program.DENSE:
            blocks = -(-row[program.FAN_IN] // shape.PANEL)
            yield row[program.T_AT], blocks * row[program.T_STRIDE]
        if not on_cpu:
            yield row[program.DZ_AT], size


@pytest.mark.parametrize("samples", [1, 3 * shape.PANEL])
@pytest.mark.parametrize("method", methods.METHODS)
def test_no_two_arrays_of_a_plan_overlap(method, samples):
    net = methods.network(method, 37, 3, layers=2, width=21, dropout=0.1)
    panels = -(-samples // shape.PANEL)
    made = plan(net.nodes, net.layout, panels, training=True)
    found = [(made, panels, panels * shape.PANEL, True)]
    made = device_plan(net.nodes, net.layout, samples, training=True)
    found.append((made, samples, samples, False))
    for made, *sizes in found:
        places = sorted(arrays(made.table, *sizes))
        for (first, size), (following, _) in itertools.pairwise(places):
            assert first + size <= following
        assert sum(places[-1]) <= made.activations
