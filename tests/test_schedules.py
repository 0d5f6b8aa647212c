"""Schedules: factors computed by hand, and invalid arguments."""

from math import cos, log2, pi

import pytest

import fastsnn as fs
from fastsnn.schedules import SCHEDULES
from fastsnn.selection import improves


def factors(schedule, n_steps, history=()):
    return [schedule.factor(step, n_steps, list(history)) for step in range(n_steps)]


def records(*values, monitor="validation_loss"):
    return [{monitor: value} for value in values]


def test_constant():
    assert factors(fs.schedules.Constant(), 5) == [1.0] * 5


@pytest.mark.parametrize("n_steps", [3, 9, 30, 999])
def test_step_makes_three_plateaus(n_steps):
    third = n_steps // 3
    expected = [1.0] * third + [0.1] * third + [0.01] * third
    assert factors(fs.schedules.StepDecay(), n_steps) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("n_plateaus", range(1, 50))
def test_step_changes_at_the_exact_place(n_plateaus):
    """It is independent of the rounding of 1 / n_plateaus and of the divisions."""
    n_steps = 7 * n_plateaus
    expected = [0.5 ** (step // 7) for step in range(n_steps)]
    assert factors(fs.schedules.StepDecay(1 / n_plateaus, 0.5), n_steps) == pytest.approx(
        expected, rel=1e-12
    )


def test_step_with_plateaus_between_steps():
    assert factors(fs.schedules.StepDecay(0.4, 0.5), 4) == [1, 1, 0.5, 0.5]  # at 1.6, not before
    assert factors(fs.schedules.StepDecay(1.0, 0.5), 4) == [1, 1, 1, 1]


def test_cosine_without_warmup():
    expected = [0.5 * (1 + cos(pi * step / 8)) for step in range(8)]
    assert factors(fs.schedules.CosineDecay(warmup=0), 8) == pytest.approx(expected, rel=1e-12)


def test_cosine_warms_up_linearly_and_comes_down_to_the_floor():
    found = factors(fs.schedules.CosineDecay(warmup=0.1, floor=0.2), 1000)
    assert found[:100] == pytest.approx([(step + 1) / 101 for step in range(100)], rel=1e-12)
    assert found[100] == 1
    assert found[550] == pytest.approx(0.6, rel=1e-12)  # half way from 1 to 0.2
    assert all(a > b for a, b in zip(found[100:-1], found[101:], strict=True))
    assert 0.2 < found[-1] < 0.2 + 1e-5


@pytest.mark.parametrize("n_steps", [1, 2, 3, 49, 50, 51])
@pytest.mark.parametrize("warmup", [0.0, 0.02, 0.5, 0.99])
def test_no_step_of_a_cosine_is_wasted(n_steps, warmup):
    found = factors(fs.schedules.CosineDecay(warmup), n_steps)
    assert all(0 < factor <= 1 for factor in found)


@pytest.mark.parametrize("n_steps", [1, 2, 3, 5, 20, 1000])
@pytest.mark.parametrize("warmup", [0.0, 0.1, 0.3, 0.5, 0.9])
def test_one_cycle_is_that_of_torch(warmup, n_steps):
    torch = pytest.importorskip("torch")
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    if warmup * n_steps == 1:
        return  # PyTorch divides by 0
    reference = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=1.0, total_steps=n_steps, pct_start=warmup, div_factor=8.0,
        final_div_factor=50.0, cycle_momentum=False,
    )  # fmt: skip
    expected = []
    for step in range(n_steps):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if step < n_steps - 1:
            reference.step()
    found = factors(fs.schedules.OneCycle(warmup, 1 / 8, 1 / 400), n_steps)
    assert found == pytest.approx(expected, rel=1e-12, abs=1e-12)


def test_one_cycle_by_hand():
    """The fifth of ten steps is the peak."""
    found = factors(fs.schedules.OneCycle(0.5, 0.2, 0.1), 10)
    assert found[0] == pytest.approx(0.2, rel=1e-12) and found[4] == 1
    assert found[2] == pytest.approx(0.6, rel=1e-12)  # half way up
    assert found[-1] == pytest.approx(0.1, rel=1e-12)
    assert found[6] == pytest.approx(0.1 + 0.45 * (1 + cos(pi * 2 / 5)), rel=1e-12)
    assert fs.schedules.OneCycle() == fs.schedules.OneCycle(
        0.3, 1 / 25, 1 / 25 / 1e4
    )  # the defaults of PyTorch


@pytest.mark.parametrize("n_steps", [1, 2, 3, 10])
def test_one_cycle_of_few_steps(n_steps):
    for warmup in (0.0, 0.1, 1 / n_steps if n_steps > 1 else 0.5, 0.99):
        found = factors(fs.schedules.OneCycle(warmup), n_steps)
        assert all(0 < factor <= 1 for factor in found)


def test_log_cosine():
    """Steps 0, 1, 3 and 7 of 15 begin a wave; 1 + 15 t is 2^1.5, 2^2.5 in the middle of others."""
    found = factors(fs.schedules.LogCosine(), 15)
    assert [found[step] for step in (0, 1, 3, 7)] == pytest.approx([0] * 4, abs=1e-12)
    for step in range(15):
        expected = (1 - cos(2 * pi * log2(1 + step))) / 2
        assert found[step] == pytest.approx(expected, rel=1e-12, abs=1e-12)
    many = factors(fs.schedules.LogCosine(), 15_000)
    peaks = [s for s in range(1, 14_999) if many[s - 1] < many[s] >= many[s + 1]]
    assert peaks == pytest.approx([1000 * (2 ** (k + 0.5) - 1) for k in range(4)], abs=1)
    assert min(many[s] for s in peaks) > 1 - 1e-6 and max(many) <= 1


@pytest.mark.parametrize(
    "values, patience, expected",
    [
        ([], 2, 1),
        ([3.0, 2.0, 1.0], 1, 1),
        ([1.0, 2.0], 2, 1),
        ([1.0, 2.0, 3.0], 2, 0.5),
        ([1.0, 1.0, 1.0], 2, 0.5),  # equal is no improvement
        ([1.0, 2.0, 0.5, 2.0], 2, 1),  # an improvement restarts the count
        ([1.0, 2.0, 3.0, 4.0], 2, 0.5),  # and so does a reduction
        ([1.0, 2.0, 3.0, 4.0, 5.0], 2, 0.25),
        ([1.0, 2.0, 2.0, 2.0], 1, 0.125),
    ],
)
def test_plateau(values, patience, expected):
    schedule = fs.schedules.ReduceOnPlateau(patience=patience, gamma=0.5)
    assert factors(schedule, 3, records(*values)) == [expected] * 3


def test_plateau_of_figures_to_minimize_and_maximize():
    rising = records(0.1, 0.2, 0.3, monitor="validation_accuracy")
    assert fs.schedules.ReduceOnPlateau("validation_accuracy", patience=1).factor(0, 9, rising) == 1
    assert (
        fs.schedules.ReduceOnPlateau("validation_accuracy", patience=1).factor(0, 9, rising[::-1])
        == 0.25
    )
    rising = records(0.1, 0.2, 0.3, monitor="train_loss")
    assert fs.schedules.ReduceOnPlateau("train_loss", patience=1).factor(0, 9, rising) == 0.25


@pytest.mark.parametrize("name", ["accuracy", "validation_auc", "test_r2"])
def test_larger_is_better(name):
    assert improves(name, 2.0, 1.0) and not improves(name, 1.0, 2.0)
    assert not improves(name, 1.0, 1.0)


@pytest.mark.parametrize("name", ["train_loss", "validation_rmse"])
def test_smaller_is_better(name):
    assert improves(name, 1.0, 2.0) and not improves(name, 2.0, 1.0)
    assert not improves(name, 1.0, 1.0)


def test_plateau_names_the_missing_figure():
    with pytest.raises(
        ValueError, match="ReduceOnPlateau: .*train_loss.*'validation_loss'.*validation"
    ):
        fs.schedules.ReduceOnPlateau().factor(0, 9, records(1.0, monitor="train_loss"))


# fmt: off
BAD = {
    fs.schedules.StepDecay: [
        {"every": 0}, {"every": 1.1}, {"every": -1}, {"gamma": 0}, {"gamma": 1.5},
    ],
    fs.schedules.CosineDecay: [{"warmup": -0.1}, {"warmup": 1}, {"floor": -0.1}, {"floor": 1.0}],
    fs.schedules.OneCycle: [
        {"warmup": -0.1}, {"warmup": 1}, {"start": -0.1}, {"start": 1.1}, {"end": -0.1}, {"end": 2},
    ],
    fs.schedules.ReduceOnPlateau: [{"patience": 0}, {"gamma": 0}, {"gamma": 1}],
}
# fmt: on
BAD = [(kind, arguments) for kind, many in BAD.items() for arguments in many]


@pytest.mark.parametrize("kind, arguments", BAD, ids=str)
def test_out_of_range(kind, arguments):
    ((name, value),) = arguments.items()
    with pytest.raises(ValueError) as caught:
        kind(**arguments)
    text = str(caught.value)
    assert text.startswith(f"{kind.__name__}: {name} ")
    assert "is required" in text and text.endswith(f"got {value}")


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), float("-inf")], ids=["nan", "inf", "-inf"]
)
@pytest.mark.parametrize(
    "kind, name",
    [
        (fs.schedules.StepDecay, "every"),
        (fs.schedules.StepDecay, "gamma"),
        (fs.schedules.CosineDecay, "warmup"),
        (fs.schedules.CosineDecay, "floor"),
        (fs.schedules.OneCycle, "warmup"),
        (fs.schedules.OneCycle, "start"),
        (fs.schedules.OneCycle, "end"),
        (fs.schedules.ReduceOnPlateau, "gamma"),
    ],
)
def test_no_number(kind, name, value):
    with pytest.raises(ValueError, match=f"{kind.__name__}: {name} "):
        kind(**{name: value})


def test_names():
    """Words of the command line and of files, which never change."""
    assert {name: kind.__name__ for name, kind in SCHEDULES.items()} == {
        "constant": "Constant", "step": "StepDecay", "cosine": "CosineDecay",
        "plateau": "ReduceOnPlateau", "onecycle": "OneCycle", "logcosine": "LogCosine",
    }  # fmt: skip
    for kind in SCHEDULES.values():
        assert getattr(fs.schedules, kind.__name__) is kind
        assert kind() == kind()  # all options have defaults


@pytest.mark.parametrize("name", SCHEDULES)
def test_open_ended_schedules_do_not_depend_on_the_length(name):
    """The others do depend on it."""
    schedule = SCHEDULES[name]()
    short, long = ([schedule.factor(step, n, []) for step in range(20)] for n in (20, 30))
    assert (short == long) == schedule.open_ended
