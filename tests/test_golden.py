"""Ten losses of a fixed network against stored losses of PyTorch 2.13.0 (golden.py)."""

import golden
import numpy as np
import pytest
import tolerance

import fastsnn as fs

NO_TORCH = "PyTorch 2.13.0 is not installed (pip install torch==2.13.0)"
each_run = pytest.mark.parametrize("name", golden.RUNS)


@each_run
def test_engine(name):
    """Losses of order 1 follow from outputs of order 3; parameters drift apart by less than
    gradients.

    The limit is twice the bound of one forward pass: once for the loss itself and once for the
    error that the parameters have by then. Errors do not grow over ten steps of a decreasing loss.
    """
    loss, weighted, optimizer, arguments = golden.RUNS[name]
    layers = [fs.Dense(16), fs.SELU(), fs.Dense(16), fs.SELU(), fs.Dense(3)]
    net = fs.Network(layers, input_size=golden.SIZES[0])
    state = {}
    for i, (w, b) in zip((0, 2, 4), golden.fixed_parameters(), strict=True):
        state[f"{i}.weight"], state[f"{i}.bias"] = w, b
    net.load_state_dict(state)
    trainer = fs.Trainer(
        net,
        loss=loss,
        optimizer=getattr(fs, optimizer)(**arguments),
        class_weight=golden.CLASS_WEIGHT if weighted else None,
    )
    x, y = golden.fixed_inputs(), golden.fixed_labels(loss)
    losses = [trainer.step(x, y) for _ in range(golden.STEPS)]
    limit = 2 * 3 * tolerance.forward(len(golden.SIZES) - 1, max(golden.SIZES))
    np.testing.assert_allclose(losses, golden.LOSSES[name], rtol=0, atol=limit)


@each_run
def test_losses_fall_and_differ(name):
    """Every stored run trains, and no two are equal: an ignored option would be detected."""
    losses = golden.LOSSES[name]
    assert len(losses) == golden.STEPS and losses[-1] < 0.8 * losses[0]
    others = [golden.LOSSES[other] for other in golden.RUNS if other != name]
    assert min(abs(losses[-1] - other[-1]) for other in others) > 1e-4


@pytest.mark.torch
@each_run
def test_literals_are_those_of_torch(name):
    pytest.importorskip("torch", reason=NO_TORCH)
    np.testing.assert_allclose(golden.LOSSES[name], golden.recompute(name), rtol=1e-12)
