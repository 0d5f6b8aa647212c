"""Public constructors and functions accept a value, or refuse it in one line that states the
reason.

The error is a ValueError, TypeError or RuntimeError, never an OverflowError or RecursionError from
inside.
"""

import warnings

import numpy as np
import pytest

import fastsnn as fs
from fastsnn import layers, methods, optimizers, schedules, selection, theory
from fastsnn.engine import state
from fastsnn.engine import threads as processors
from fastsnn.runs.config import RunConfig
from fastsnn.search import ModelSelection, Range, grid, search
from fastsnn.search import space as spaces
from fastsnn.search.trial import Trial, key_of
from fastsnn.theory.theorems import Domain

ENDLESS: list = []
ENDLESS.append(ENDLESS)
VALUES = {
    "None": None, "True": True, "0": 0, "-1": -1, "1": 1, "2**63": 2**63, "10**400": 10**400,
    "-10**400": -(10**400), "10**5000": 10**5000, "nan": float("nan"), "inf": float("inf"),
    "-inf": -float("inf"), "1e300": 1e300, "1e-300": 1e-300, "5e-324": 5e-324, "complex": 1j,
    "text": "1", "long text": "x\n" * 5000, "bytes": b"1", "list": [], "numbers": [1.0, 2.0],
    "dict": {}, "endless": ENDLESS, "object": object(), "type": int,
    "float32": np.float32(0.5), "int64": np.int64(3), "bool_": np.bool_(True),
    "nan32": np.float32("nan"), "array": np.zeros((3, 2)), "pair": (0, 1e300), "texts": ["a", "b"],
    "datetime": np.datetime64("2020-01-01"), "huge pair": (10**400, 1),
}  # fmt: skip


def _network(**options):
    return methods.network("resnet", 3, 2, **{"layers": 1, "width": 4} | options)


def _figures(score):
    search(lambda o, report: {"score": score}, {"x": [1]}, protocol=ModelSelection(metric="r2"))


def _searched(**options):
    search(
        lambda o, report: {"score": 0},
        {"x": [1, 2]},
        protocol=ModelSelection(metric="r2"),
        **options,
    )


CALLS = {
    "Dense.units": layers.Dense,
    "Dense.init": lambda v: layers.Dense(2, v),
    "Dense.weight_norm": lambda v: layers.Dense(2, weight_norm=v),
    "SELU": layers.SELU,
    "SELU.mean": lambda v: layers.SELU((v, 1)),
    "SELU.variance": lambda v: layers.SELU((0, v)),
    "AlphaDropout": layers.AlphaDropout,
    "Dropout": layers.Dropout,
    "BatchNorm.eps": layers.BatchNorm,
    "BatchNorm.momentum": lambda v: layers.BatchNorm(momentum=v),
    "LayerNorm": layers.LayerNorm,
    "Highway.init": layers.Highway,
    "Highway.gate_bias": lambda v: layers.Highway(gate_bias=v),
    "Residual": layers.Residual,
    "from_description": layers.from_description,
    "from_description.type": lambda v: layers.from_description({"type": v}),
    "from_description.units": lambda v: layers.from_description({"type": "Dense", "units": v}),
    "from_description.layers": lambda v: layers.from_description({"type": "Residual", "layers": v}),
    "SGD": optimizers.SGD,
    "SGD.momentum": lambda v: optimizers.SGD(0.1, v),
    "SGD.nesterov": lambda v: optimizers.SGD(0.1, 0.5, v),
    "SGD.weight_decay": lambda v: optimizers.SGD(0.1, weight_decay=v),
    "Adam": optimizers.Adam,
    "Adam.beta1": lambda v: optimizers.Adam(beta1=v)._hyper(1.0, 0),
    "Adam.beta2": lambda v: optimizers.Adam(beta2=v)._hyper(1.0, 0),
    "Adam.eps": lambda v: optimizers.Adam(eps=v),
    "AdamW.weight_decay": lambda v: optimizers.AdamW(weight_decay=v)._hyper(1.0, 0),
    "Lion.beta1": lambda v: optimizers.Lion(beta1=v)._hyper(1.0, 0),
    "Lion.weight_decay": lambda v: optimizers.Lion(weight_decay=v)._hyper(1.0, 0),
    "NAdam.beta1": lambda v: optimizers.NAdam(beta1=v)._hyper(1.0, 0),
    "NAdam.momentum_decay": lambda v: optimizers.NAdam(momentum_decay=v)._hyper(1.0, 10**6),
    "RMSprop.alpha": lambda v: optimizers.RMSprop(alpha=v)._hyper(1.0, 0),
    "RMSprop.momentum": lambda v: optimizers.RMSprop(momentum=v)._hyper(1.0, 0),
    "step_count": lambda v: state.require_state({}, {"step_count": v, "first_loss": 0.0}),
    "first_loss": lambda v: state.require_state({}, {"step_count": 0, "first_loss": v}),
    "Step.every": lambda v: schedules.StepDecay(v).factor(9, 10, []),
    "Step.gamma": lambda v: schedules.StepDecay(gamma=v).factor(9, 10, []),
    "Cosine.warmup": lambda v: schedules.CosineDecay(v).factor(9, 10, []),
    "Cosine.floor": lambda v: schedules.CosineDecay(floor=v).factor(9, 10, []),
    "Plateau.monitor": schedules.ReduceOnPlateau,
    "Plateau.patience": lambda v: schedules.ReduceOnPlateau(patience=v),
    "Plateau.gamma": lambda v: schedules.ReduceOnPlateau(gamma=v),
    "improves": lambda v: selection.improves(v, 1.0, 2.0),
    "network.method": lambda v: methods.network(v, 3, 2, layers=1, width=4),
    "network.layers": lambda v: methods.network("snn", 3, 2, layers=v),
    "network.shape": lambda v: _network(shape=v),
    "network.bottleneck": lambda v: _network(bottleneck=v),
    "network.dropout": lambda v: _network(dropout=v),
    "widths.shape": lambda v: methods.widths(v, 3, 4, 2),
    "widths.layers": lambda v: methods.widths("conic", v, 4, 2),
    "widths.width": lambda v: methods.widths("conic", 3, v, 2),
    "widths.output_size": lambda v: methods.widths("conic", 3, 4, v),
    "Network.layers": lambda v: fs.Network(v, 3),
    "Network.layer": lambda v: fs.Network([layers.Dense(3), v, layers.Dense(2)], 3),
    "cost": lambda v: spaces.cost({"layers": v, "width": v, "epochs": v}),
    "in_theorem1_domain": lambda v: theory.in_theorem1_domain(v, 1.0, 0.0, 1.0),
    "load": fs.load,
    "load_model": fs.load_model,
    "moment_map.mean": lambda v: theory.moment_map(v, 1.0),
    "moment_map.variance": lambda v: theory.moment_map(0.0, v),
    "moment_map.weight_sum": lambda v: theory.moment_map(1.0, 1.0, v),
    "moment_map.weight_square_sum": lambda v: theory.moment_map(0.0, 1.0, 0.0, v),
    "moment_map.alpha": lambda v: theory.moment_map(0.0, 1.0, alpha=v),
    "moment_map.lambda_": lambda v: theory.moment_map(0.0, 1.0, lambda_=v),
    "jacobian.variance": lambda v: theory.jacobian(0.0, v),
    "jacobian.alpha": lambda v: theory.jacobian(0.0, 1.0, alpha=v),
    "spectral_norm": theory.spectral_norm,
    "spectral_radius": theory.spectral_radius,
    "fixed_point.weight_sum": lambda v: theory.fixed_point(v, 1.0),
    "fixed_point.weight_square_sum": lambda v: theory.fixed_point(0.0, v),
    "fixed_point.alpha": lambda v: theory.fixed_point(alpha=v),
    "fixed_point.start": lambda v: theory.fixed_point(start=v),
    "fixed_point.start.mean": lambda v: theory.fixed_point(start=(v, 1)),
    "selu_constants.mean": lambda v: theory.selu_constants(v, 1.0),
    "selu_constants.variance": lambda v: theory.selu_constants(0.0, v),
    "selu_constants.weight_sum": lambda v: theory.selu_constants(0.0, 1.0, v),
    "selu_constants.weight_square_sum": lambda v: theory.selu_constants(0.0, 1.0, 0.0, v),
    "check_theorem1.points": theory.check_theorem1,
    "check_theorem2.domain": lambda v: theory.check_theorem2(16, v),
    "check_theorem3.domains": lambda v: theory.check_theorem3(16, v),
    "Domain": lambda v: Domain(v, (0, 1), (0, 1), (0, 1)),
    "ModelSelection.epochs": ModelSelection,
    "ModelSelection.window": lambda v: ModelSelection(window=v),
    "ModelSelection.validation": lambda v: ModelSelection(validation=v),
    "ModelSelection.metric": lambda v: ModelSelection(metric=v),
    "ModelSelection.maximize": lambda v: ModelSelection(maximize=v),
    "Range.low": lambda v: Range(v, 5).at(0.999),
    "Range.high": lambda v: Range(1, v, log=True).at(0.999),
    "Range.log": lambda v: Range(1, 2, v).at(0.5),
    "grid": lambda v: grid({"x": v}),
    "drawn": lambda v: spaces.drawn({"x": v}, 2, 0),
    "key_of": lambda v: key_of({"x": v}),
    "Trial.of": Trial.of,
    "Trial.of.figures": lambda v: Trial.of(Trial(0, {}, v).record()),
    "Trial.of.score": lambda v: Trial.of(Trial(0, {}, {"score": v}).record()),
    "search.space": lambda v: search(lambda o, report: {"score": 0}, v, protocol=ModelSelection()),
    "search.trial": lambda v: search(v, {"x": [1]}),
    "search.trials": lambda v: _searched(sampler="random", trials=v),
    "search.seed": lambda v: _searched(sampler="random", trials=1, seed=v),
    "search.sampler": lambda v: _searched(sampler=v),
    "search.workers": lambda v: _searched(workers=v),
    "search.about": lambda v: _searched(about=v),
    "search score": _figures,
    "threads": processors.resolve,
    "from_dict": RunConfig.from_dict,
    **{f"RunConfig.{name}": lambda v, name=name: RunConfig(**{name: v}).settled(9, "regression")
       for name in RunConfig.__dataclass_fields__},
}  # fmt: skip


@pytest.mark.parametrize("call", CALLS)
def test_a_value_is_taken_or_refused_in_one_line(call):
    for name, value in VALUES.items():
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            try:
                CALLS[call](value)
            except (ValueError, TypeError, RuntimeError) as error:
                assert not isinstance(error, RecursionError)
                text = str(error)
                assert text and "\n" not in text and len(text) < 500, (name, text)
            except Exception as error:
                raise AssertionError(f"{call} of {name}: {error!r}") from error


@pytest.mark.parametrize(
    "make, value",
    [
        (fs.Dense, np.int64(3)),
        (fs.AlphaDropout, np.float32(0.25)),
        (fs.SGD, np.float64(0.25)),
        (fs.BatchNorm, np.float32(0.25)),
        (fs.schedules.StepDecay, np.float32(0.25)),
        (lambda v: fs.SELU((np.float32(0), v)), np.float64(2)),
        (lambda v: RunConfig(epochs=v), np.int32(3)),
        (lambda v: RunConfig(dropout=v, learning_rate=np.float32(1)), np.float16(0.25)),
        (lambda v: Range(1, v), np.int64(3)),
        (lambda v: ModelSelection(epochs=v), np.int64(3)),
    ],
)
def test_numpy_scalars_are_numbers(make, value):
    found = make(value)
    assert found == make(value.item())
    assert repr(found) == repr(make(value.item())), "Python's own numbers are kept"


def test_values_refused_by_name():
    """Values that once raised other errors, and their messages."""
    for make, text in (
        (lambda: fs.SGD(10**400), "SGD: learning_rate must be in [0, 1e+30), got 1000"),
        (lambda: fs.SGD(0.1, weight_decay=1e300), "SGD: weight_decay must be at most 3.4e+38"),
        (
            lambda: fs.SELU((0, 1e300)),
            "SELU: fixed_point: selu_constants: variance must be in [1e-100, ",
        ),
        (lambda: fs.SELU((0, 1e80)), "SELU: fixed_point: variance 1e+80 needs lambda"),
        (
            lambda: fs.schedules.ReduceOnPlateau("validation_nonsense"),
            "ReduceOnPlateau: monitor must end in one of accuracy",
        ),
        (lambda: processors.resolve(10**6), "threads: at most 1,024 are supported"),
        (lambda: RunConfig(threads=10**6), "threads: at most 1,024 are supported"),
        (lambda: RunConfig(layers=10**9), "layers: at most 100,000 is supported"),
        (lambda: methods.network("snn", 3, 2, 10**9), "snn: layers must be at most 100,000"),
        (lambda: grid({str(i): list(range(100)) for i in range(9)}), "at most 1,000,000 combin"),
        (lambda: spaces.drawn({"x": []}, 1, 0), "x: a list of at least one value is required"),
    ):
        with pytest.raises(ValueError) as caught:
            make()
        assert text in str(caught.value)


def test_layers_that_no_memory_holds():
    for units in (2**53, 2**40):
        with pytest.raises(MemoryError):
            fs.Network([fs.Dense(units), fs.Dense(units), fs.Dense(1)], 2**40)


def test_a_small_fraction_of_the_steps_is_no_overflow():
    assert fs.schedules.StepDecay(every=5e-324, gamma=0.5).factor(1, 2, []) == 0.0
