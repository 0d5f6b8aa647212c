"""Names of version 0.1 still work; a warning names the new one and shows the user's line."""

import copy
import pickle
import re
import subprocess
import sys
import warnings

import numpy as np
import pytest

import fastsnn as fs
from fastsnn import checkpoint, schedules, search, theory
from fastsnn.data import Standardizer
from fastsnn.engine.byterows import ByteRows
from fastsnn.search import protocol
from fastsnn.theory import fixed_points

X = np.array([[1.0, 5.0], [3.0, 5.0], [8.0, 2.0]])
NAMES = {
    "fs": fs, "np": np, "schedules": schedules, "search": search, "theory": theory, "X": X,
    "protocol": protocol, "fixed_points": fixed_points, "s": Standardizer.fit(X),
    "Standardizer": Standardizer, "net": fs.mlp(2, 2, layers=1, width=4),
    "adam": fs.Adam(0.25), "huber": fs.Huber(0.5), "selu": fs.SELU(), "norm": fs.BatchNorm(),
    "dropout": fs.AlphaDropout(0.5), "make": type("Copy", (), {}),
}  # fmt: skip
# (a use of a name of version 0.1, the equivalent today)
RENAMED = [
    ("fs.Constant", "fs.schedules.Constant"),
    ("fs.Step", "fs.schedules.StepDecay"),
    ("fs.Cosine", "fs.schedules.CosineDecay"),
    ("fs.Plateau", "fs.schedules.ReduceOnPlateau"),
    ("fs.OneCycle", "fs.schedules.OneCycle"),
    ("fs.LogCosine", "fs.schedules.LogCosine"),
    ("fs.Step(0.5, gamma=0.25)", "fs.schedules.StepDecay(0.5, gamma=0.25)"),
    ("schedules.Step", "schedules.StepDecay"),
    ("schedules.Cosine", "schedules.CosineDecay"),
    ("schedules.Plateau", "schedules.ReduceOnPlateau"),
    ("theory.solve", "theory.selu_constants"),
    ("theory.solve(0.0, 2.0)", "theory.selu_constants(0.0, 2.0)"),
    ("fixed_points.solve", "theory.selu_constants"),
    ("search.Protocol", "search.ModelSelection"),
    ("search.Protocol(window=3)", "search.ModelSelection(window=3)"),
    ("search.Selection", "search.BestEpoch"),
    ("protocol.Protocol", "search.ModelSelection"),
    ("protocol.Selection", "search.BestEpoch"),
    ("s.apply(X, rows=np.arange(2))", "s.transform(X, rows=np.arange(2))"),
    ("Standardizer.apply(s, X)", "s.transform(X)"),
    ("s.invert(X)", "s.inverse_transform(X)"),
    ("net.version", "net.buffer.version"),
    ("net.derived_version", "net.buffer.derived_version"),
    ("net.placed(X)", "net._placed(X)"),
    ("net.buffer.on_device(make) is not None", "net.buffer._on_device(make) is not None"),
    ("adam.rule", "adam._rule"),
    ("adam.hyper(0.5, 3)", "adam._hyper(0.5, 3)"),
    ("adam.update", "adam._update"),
    ("adam.state", "adam._state"),
    ("adam.n_state", "adam._n_state"),
    ("selu.kernel()", "selu._kernel()"),
    ("dropout.dropout", "dropout._dropout"),
    ("norm.op", "norm._op"),
    ("huber.code", "huber._code"),
    ("huber.parameter", "huber._parameter"),
]


def equal(a, b):
    return np.array_equal(a, b) if isinstance(a, np.ndarray) else a is b or a == b


@pytest.mark.parametrize("old, new", RENAMED, ids=[old for old, _ in RENAMED])
def test_an_old_name_works_and_names_the_new_one(old, new):
    with pytest.warns(DeprecationWarning) as caught:
        found = eval(compile(old, "the user's file", "eval"), dict(NAMES))
    (warning,) = caught
    assert warning.filename == "the user's file"
    name = new.split("(")[0].split(".")[-1]
    assert re.search(rf"; use [\w.]*\b{name}($|, which is internal)", str(warning.message))
    assert "since fastsnn 0.2" in str(warning.message)
    assert ("internal" in str(warning.message)) == ("._" in new)
    assert equal(found, eval(new, dict(NAMES)))


def test_imports_of_old_names():
    for statement in (
        "from fastsnn import Cosine",
        "from fastsnn.schedules import Plateau",
        "from fastsnn.theory import solve",
        "from fastsnn.search import Protocol, Selection",
    ):
        with pytest.warns(
            DeprecationWarning, match="is deprecated since fastsnn 0.2; use"
        ) as caught:
            exec(compile(statement, "the user's file", "exec"), {})
        assert {warning.filename for warning in caught} == {"the user's file"}, statement


def test_save_model(tmp_path):
    model = fs.Model(fs.mlp(2, 2, layers=1, width=4), "classification", Standardizer.fit(X))
    model.save(tmp_path / "new")
    for save in (fs.save_model, checkpoint.save_model):
        with pytest.warns(DeprecationWarning, match="use fastsnn.Model.save") as caught:
            save(tmp_path / "old", model)
        assert caught[0].filename == __file__
        assert (tmp_path / "old").read_bytes() == (tmp_path / "new").read_bytes()
    with (
        pytest.warns(DeprecationWarning),
        pytest.raises(TypeError, match="a path and a Model are required, got Network; a ne"),
    ):
        fs.save_model(tmp_path / "net", model.network)


def test_the_warning_names_the_line_of_a_script(tmp_path):
    script = tmp_path / "script.py"
    script.write_text("import fastsnn as fs\n\nprint(fs.Cosine(warmup=0.25))\n")
    run = subprocess.run([sys.executable, script], capture_output=True, text=True)
    assert run.returncode == 0 and run.stdout == "CosineDecay(warmup=0.25, floor=0.0)\n"
    assert f"{script}:3: DeprecationWarning: fastsnn.Cosine is deprecated" in run.stderr


def test_pickles_with_an_old_name_load():
    for old, new in (
        (b"cfastsnn.schedules\nCosine\n.", schedules.CosineDecay),
        (b"cfastsnn.search.protocol\nProtocol\n.", search.ModelSelection),
    ):
        with pytest.warns(DeprecationWarning):
            assert pickle.loads(old) is new


@pytest.mark.parametrize("kind", schedules.SCHEDULES.values())
def test_schedules_are_copied_and_pickled_under_their_new_names(kind):
    schedule = kind()
    assert pickle.loads(pickle.dumps(schedule)) == copy.deepcopy(schedule) == schedule
    assert eval(repr(schedule), vars(schedules)) == schedule
    assert f"{kind.__module__}.{kind.__name__}" == f"fastsnn.schedules.{kind.__name__}"


def test_namespaces_hold_the_new_names_alone():
    assert {kind.__name__ for kind in schedules.SCHEDULES.values()} == set(schedules.__all__)
    everything = {}
    exec("from fastsnn import *", everything)
    assert everything["schedules"] is fs.schedules and everything["SELU"] is fs.SELU
    for names in (everything, dir(fs), dir(schedules), dir(theory), dir(search)):
        assert not {"Step", "Cosine", "Plateau", "solve", "Protocol", "Selection"} & set(names)
    for names in (everything, dir(fs)):
        assert not {"Constant", "OneCycle", "LogCosine", "save_model"} & set(names)
    assert set(fs.__all__) <= set(dir(fs)) and {"theory", "data"} <= set(dir(fs))


@pytest.mark.parametrize("module", [fs, schedules, theory, search, fixed_points, protocol])
def test_a_name_that_never_existed(module):
    with pytest.raises(
        AttributeError, match=f"module '{module.__name__}' has no attribute 'Cosin'"
    ):
        module.Cosin  # noqa: B018
    assert not hasattr(module, "__path") and not hasattr(module, "Adagrad")


def test_documentation_tools_see_no_old_name():
    """They look attributes up in the class, which neither warns nor lists the new one twice."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for kind, name in ((Standardizer, "apply"), (fs.Network, "version"), (fs.SGD, "n_state")):
            assert ":meta private:" in getattr(kind, name).__doc__


def test_byte_rows_need_transform():
    rows = ByteRows(X.astype(np.uint8), Standardizer.fit(X))
    assert np.array_equal(rows.take(slice(0, 3)), Standardizer.fit(X).transform(X))


# Section "the public interface that is fixed" of version 0.1.
FIXED = [
    "fs.Network([fs.Dense(4), fs.SELU(), fs.AlphaDropout(0.05), fs.Dense(3)], 2, seed=0)",
    "fs.mlp(input_size=2, output_size=3, layers=3, width=4, dropout=0.05, seed=0)",
    "net.forward(X, threads=None)", "net.load_state_dict(net.state_dict())",
    "fs.Trainer(net, loss='softmax_cross_entropy', optimizer=fs.SGD(learning_rate=0.01, "
    "momentum=0.0), threads=None, seed=0, backend='cpu').step(X, [0, 1, 0])",
    "fs.Trainer(net, loss='mse').gradients(X, X)",
    "fs.Trainer(net, 'sigmoid_cross_entropy').fit(X, X > 2, epochs=1, batch_size=2, "
    "validation_data=(X, X > 2), callbacks=[])",
    "fs.SGD(0.1, momentum=0.5, nesterov=True, weight_decay=0.0)",
    "fs.Adam(learning_rate=1e-3, beta1=.9, beta2=.999, eps=1e-8)", "fs.AdamW()", "fs.load",
]  # fmt: skip


@pytest.mark.parametrize("code", FIXED)
def test_the_interface_that_is_fixed_does_not_warn(code):
    eval(code, dict(NAMES))
