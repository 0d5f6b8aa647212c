"""A command-line option is one row of `RunConfig`; everything else follows from the row."""

import ast
import dataclasses
from dataclasses import dataclass
from pathlib import Path

import pytest

from fastsnn import cli, schedules
from fastsnn.optimizers import OPTIMIZERS, SGD, Adam
from fastsnn.runs import config, options
from fastsnn.runs.config import OPEN_ENDED, ROWS, RunConfig
from fastsnn.runs.row import Row, option, rows_of

ROOT = Path(__file__).resolve().parents[1]


def of(command, name):
    return next(param for param in command.params if param.name == name)


@pytest.mark.parametrize("name", ROWS)
def test_the_command_line_is_made_from_the_rows(name):
    row, made = ROWS[name], of(cli.train, name)
    assert made.help == row.help and made.default is getattr(RunConfig, name)
    if row.default_text is not None:
        assert made.show_default == row.default_text
    assert (name in [p.name for p in cli.search.params]) == (row.search != "absent")


def test_a_new_option_is_a_row(monkeypatch):
    """Type, range, help text, default, and the refusal of a bad value follow from the row alone."""

    @dataclass(frozen=True)
    class Longer(RunConfig):
        beam: int = option(3, "Number of beams.", low=2, most=50)
        blend: float = option(0.5, "Share that is blended.", low=0, high=1, brackets="(]")
        mode: str = option("plain", "Mode.", choices=("plain", "fancy"), search="absent")

    rows = rows_of(Longer)
    assert list(rows)[: len(ROWS)] == list(ROWS) and rows["beam"].help == "Number of beams."
    for place in (config, options):
        monkeypatch.setattr(place, "ROWS", rows)
    monkeypatch.setattr(options, "RunConfig", Longer)
    assert Longer(beam=50, blend=1).blend == 1.0
    for bad, words in (
        ({"beam": 1}, "beam: at least 2 is required, got 1"),
        ({"beam": 51}, "beam: at most 50 is supported, got 51"),
        ({"blend": 0}, r"blend: must be in \(0, 1\], got 0.0"),
        ({"blend": float("nan")}, r"blend: must be in \(0, 1\], got nan"),
        ({"mode": "x"}, "mode: must be one of plain, fancy; got 'x'"),
    ):
        with pytest.raises(ValueError, match=words):
            Longer(**bad)
    with pytest.raises(TypeError, match="beam: a whole number is required, got 2.5"):
        Longer(beam=2.5)

    @cli.click.command()
    @options.settings(["beam", "blend", "mode"])
    def command(**given):
        pass

    beam, blend, mode = command.params
    assert (beam.metavar, beam.default, beam.type.min, beam.type.max) == ("N", 3, 2, None)
    assert (blend.metavar, blend.type.min_open, blend.type.max_open) == ("X", True, False)
    assert list(mode.type.choices) == ["plain", "fancy"] and mode.help == "Mode."


def test_unknown_attributes_of_a_row_are_refused():
    with pytest.raises(TypeError, match="colour"):
        option(1, "An option.", colour="red")
    assert Row(help="An option.").search == "tried"


def test_options_that_a_resumed_run_may_change():
    assert {name for name, row in ROWS.items() if row.changeable} == {"data", "epochs", "threads"}
    assert OPEN_ENDED == ("constant", "plateau")
    assert not getattr(schedules.CosineDecay, "open_ended", False)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimizer_gets_the_options_that_it_has(name):
    kind = OPTIMIZERS[name]
    own = {field.name for field in dataclasses.fields(kind)}
    hyper = {"learning_rate": 0.5, "weight_decay": 0.25}
    hyper |= {"momentum": 0.75} if "momentum" in own else {}
    made = RunConfig(optimizer=name, **hyper).made_optimizer()
    assert type(made) is kind
    assert {key: getattr(made, key) for key in hyper} == hyper
    settled = RunConfig(optimizer=name).settled(54000, "classification")
    assert settled.learning_rate == kind.run_learning_rate
    assert settled.weight_decay == kind.weight_decay
    assert ROWS["optimizer"].choices == tuple(OPTIMIZERS)


def test_an_option_of_some_optimizers_may_have_any_default(monkeypatch):
    """With another optimizer the default is not refused; None is the optimizer's own default."""

    @dataclass(frozen=True)
    class Longer(RunConfig):
        beta1: float = option(0.8, "Beta1.", low=0, high=1, brackets="[)", optimizer=True)
        eps: float | None = option(None, "Epsilon.", low=0, optimizer=True)

    monkeypatch.setattr(config, "ROWS", rows_of(Longer))
    adam = {"optimizer": "adam", "learning_rate": 0.1}
    assert Longer(**adam).made_optimizer() == Adam(0.1, beta1=0.8)
    assert Longer(**adam, beta1=0.5, eps=0.25).made_optimizer() == Adam(0.1, beta1=0.5, eps=0.25)
    assert Longer(**adam, beta1=0).made_optimizer() == Adam(0.1, beta1=0.0)
    assert Longer(learning_rate=0.1).made_optimizer() == SGD(0.1)
    for name in ("beta1", "eps"):
        with pytest.raises(ValueError, match=f"^{name}: only .* have one, got 0.5 with sgd"):
            Longer(**{name: 0.5})


def test_an_optimizer_without_a_field_refuses_it(monkeypatch):
    """An optimizer whose class has neither decay nor momentum trains with the rate alone."""

    @dataclass(frozen=True)
    class Plain:
        run_learning_rate = 0.125
        learning_rate: float = 1.0

    monkeypatch.setitem(OPTIMIZERS, "plain", Plain)
    row = dataclasses.replace(ROWS["optimizer"], choices=tuple(OPTIMIZERS))
    monkeypatch.setitem(config.ROWS, "optimizer", row)
    made = RunConfig(optimizer="plain", learning_rate=0.5).made_optimizer()
    assert made == Plain(0.5)
    settled = RunConfig(optimizer="plain").settled(100, "regression")
    assert (settled.learning_rate, settled.weight_decay) == (0.125, 0.0)
    for name in ("momentum", "weight_decay"):
        words = f"{name}: only sgd.* ha.* one, got 0.5 with plain; leave it out"
        with pytest.raises(ValueError, match=words):
            RunConfig(optimizer="plain", **{name: 0.5})


def test_runs_name_no_optimizer():
    """Exceptions: the default, and the optimizer for which the rules of `defaults` were
    measured.
    """
    found = set()
    for path in (ROOT / "fastsnn" / "runs").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and node.value in OPTIMIZERS:
                found.add((path.name, node.value))
    assert found == {("config.py", "sgd"), ("defaults.py", "sgd")}
    assert issubclass(OPTIMIZERS["adamw"], Adam) and SGD.run_learning_rate == 0.04
