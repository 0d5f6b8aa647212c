"""Models of several networks: mean and spread by hand, losses and metrics of the mean, files."""

import copy
import json
import pickle

import numpy as np
import pytest
from fuzz.target_model import joined, parts

import fastsnn as fs
from fastsnn import checkpoint, metrics
from fastsnn.data import Split, Standardizer
from fastsnn.diagnose.measure import diagnose_model
from fastsnn.ensemble import combined
from fastsnn.runs import inference, modelinfo
from fastsnn.storage import modelfile

RNG = np.random.default_rng(7)
X = RNG.normal([3, -200, 0], [1, 50, 0.01], (60, 3))
Y = {
    "classification": np.arange(60) % 3,
    "multitask": np.where(RNG.random((60, 2)) < 0.2, np.nan, RNG.integers(0, 2, (60, 2))),
    "regression": 1.7e9 + RNG.normal(0, 20, (60, 2)),
}
TASKS = [*Y]
OUTPUTS = {"classification": 3, "multitask": 2, "regression": 2}


def networks(task, count=3):
    return tuple(fs.mlp(3, OUTPUTS[task], layers=2, width=8, seed=s) for s in range(count))


def model(task, count=3):
    nets = networks(task, count)
    targets = Standardizer.fit(Y[task]) if task == "regression" else None
    return fs.Model(nets[0], task, Standardizer.fit(X), targets, members=nets)


def alone(m):
    return [fs.Model(net, m.task, m.inputs, m.targets) for net in m.members]


@pytest.mark.parametrize("task", TASKS)
def test_predictions_are_the_mean_of_the_members(task):
    m = model(task)
    each = np.array([one.predict(X) for one in alone(m)], np.float64)
    mean, deviation = m.predict(X, return_std=True)
    assert mean.dtype == deviation.dtype == (np.float64 if task == "regression" else np.float32)
    rtol = 1e-12 if task == "regression" else 3e-7
    assert np.allclose(mean, each.mean(0), rtol=rtol, atol=1e-7)
    assert np.allclose(deviation, each.std(0), rtol=1e-4 if task == "regression" else 1e-5)
    assert (m.predict(X) == mean).all() and (m.predict(X[:5], 1) == mean[:5]).all()
    assert deviation.min() > 0


@pytest.mark.parametrize("task", TASKS)
def test_one_member_is_the_network(task):
    nets = networks(task, 1)
    one, same = fs.Model(nets[0], task), fs.Model(nets[0], task, members=nets)
    assert one.members == nets and (one.predict(X) == same.predict(X)).all()
    mean, deviation = one.predict(X, return_std=True)
    assert (mean == one.predict(X)).all() and not deviation.any()
    equal = fs.Model(nets[0], task, members=nets * 2)
    assert not equal.predict(X, return_std=True)[1].any()
    assert equal.predict(X).dtype == one.predict(X).dtype


@pytest.mark.parametrize("task", TASKS)
def test_losses_and_metrics_are_those_of_the_mean(task):
    m, y = model(task), Y[task]
    figures, p = m.evaluate(X, y), m.predict(X).astype(np.float64)
    if task == "classification":
        assert figures["loss"] == pytest.approx(-np.log(p[np.arange(60), y]).mean(), rel=1e-6)
        assert figures["log_loss"] == pytest.approx(figures["loss"], rel=1e-12)
        assert figures["accuracy"] == (p.argmax(1) == y).mean()
    elif task == "multitask":
        known = ~np.isnan(y)
        each = -np.where(y == 1, np.log(p), np.log(1 - p))
        assert figures["loss"] == pytest.approx(each[known].mean(), rel=1e-6)
        assert figures["auc"] == np.mean(
            [metrics.roc_auc(p[k, j], y[k, j]) for j, k in enumerate(known.T)]
        )
    else:
        assert figures["rmse"] == pytest.approx(np.sqrt(((p - y) ** 2).mean()), rel=1e-9)
        z, standard = m.targets.transform(p), m.targets.transform(y)
        assert figures["loss"] == pytest.approx(((z - standard) ** 2).mean(), rel=1e-5)
    weight = RNG.uniform(0, 2, 60)
    standardized = m.inputs.transform(X)
    part = Split(standardized, m.targets.transform(y), y) if m.targets else Split(standardized, y)
    assert m.judge(part, sample_weight=weight) == m.evaluate(X, y, sample_weight=weight)
    assert figures["loss"] < np.mean([one.evaluate(X, y)["loss"] for one in alone(m)])


def test_extreme_outputs_do_not_underflow():
    """exp(-2000) is 0 in float64; the logarithm of the mean probability is exact."""
    z = [np.array([[0.0, -2000.0]], np.float32), np.array([[0.0, -3000.0]], np.float32)]
    mean, deviation = combined("classification", z, spread=True)
    assert mean[0, 1] == pytest.approx(-2000 - np.log(2)) and mean[0, 0] == 0
    assert not deviation.any()
    odds, _ = combined("multitask", [each[:, 1:] for each in z])
    assert odds[0, 0] == pytest.approx(-2000 - np.log(2))
    opposite, _ = combined("multitask", [z[0][:, 1:], -z[1][:, 1:]])
    assert opposite[0, 0] == pytest.approx(0, abs=1e-9)


def test_a_model_is_shown_with_its_members():
    assert repr(model("classification")) == (
        "Model(classification, 3 features, 3 layers, 131 parameters each, 3 members)"
    )


NETS = networks("classification")
REFUSED = {
    "first": (NETS[1:], ValueError, "members must begin with network; give Model(members[0], ...)"),
    "layers": (
        (NETS[0], fs.mlp(3, 3, 1, 8)),
        ValueError,
        "input size of network, member 1 differs",
    ),
    "size": ((NETS[0], fs.mlp(4, 3, 2, 8)), ValueError, "member 1 differs"),
    "type": ((NETS[0], None), TypeError, "members must be a tuple of Network, got NoneType at 1"),
    "no tuple": (NETS[0], TypeError, "members must be a tuple of Network, got Network"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_members_that_do_not_fit(name):
    members, error, text = REFUSED[name]
    with pytest.raises(error) as caught:
        fs.Model(NETS[0], "classification", members=members)
    assert text in str(caught.value) and "\n" not in str(caught.value)


# ---- files


@pytest.mark.parametrize("task", TASKS)
def test_files_hold_all_members(task, tmp_path):
    m = model(task)
    m.save(tmp_path / "m")
    found = fs.load_model(tmp_path / "m")
    assert len(found.members) == 3 and found.members[0] is found.network
    pairs = zip(found.predict(X, return_std=True), m.predict(X, return_std=True), strict=True)
    assert all((one == other).all() and one.dtype == other.dtype for one, other in pairs)
    assert (fs.load(tmp_path / "m").parameters == m.network.parameters).all()
    found.save(tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == (tmp_path / "m").read_bytes()
    for other in (copy.deepcopy(m), pickle.loads(pickle.dumps(m))):
        assert other.members[0] is other.network and (other.predict(X) == m.predict(X)).all()


def test_one_member_leaves_the_file_as_it_was(tmp_path):
    m = model("classification", 1)
    m.save(tmp_path / "m")
    description, entries, _ = parts((tmp_path / "m").read_bytes())
    assert "members" not in description and not any(n.startswith("member") for n in entries)


def test_states_of_the_trainers():
    m = model("classification", 2)
    trainers = [fs.Trainer(net, optimizer=fs.Adam(0.01), seed=k) for k, net in enumerate(m.members)]
    for trainer in trainers:
        trainer.fit(m.inputs.transform(X), Y["classification"], 1)
    states = [trainer.state_dict() for trainer in trainers]
    found, loaded = checkpoint.from_bytes(checkpoint.to_bytes(m, states))
    assert (found.predict(X) == m.predict(X)).all()
    for (arrays, numbers), (wanted, others) in zip(loaded, states, strict=True):
        assert numbers == others and arrays.keys() == wanted.keys()
        assert all((arrays[name] == wanted[name]).all() for name in arrays)
    assert checkpoint.from_bytes(checkpoint.to_bytes(m))[1] == []


def saved(count=3, states=False):
    m = model("classification", count)
    trained = [fs.Trainer(net).state_dict() for net in m.members] if states else []
    return checkpoint.to_bytes(m, trained)


def crafted(**changes):
    """Return a file with a changed description."""
    description, entries, tensors = parts(saved())
    return joined(description | changes, entries, tensors)


def renamed(old, new):
    """Return a file with another name for some of the tensors."""
    description, entries, tensors = parts(saved())
    entries = json.loads(json.dumps(entries).replace(f'"{old}', f'"{new}'))
    return joined(description, entries, tensors)


FILES = {
    "two of three": (
        crafted(members=2),
        "members: tensors of member 1 to 1 are required, got ['1'",
    ),
    "four of three": (crafted(members=4), "members: tensors of member 1 to 3 are required"),
    "huge": (crafted(members=10**30), "members: tensors of member 1 to 99999999999999999999"),
    "one": (crafted(members=1), "members must be at least 2, got 1"),
    "text": (crafted(members="3"), "members must be an int, got '3'"),
    "bool": (crafted(members=True), "members must be an int, got True"),
    "null": (crafted(members=None), "members must be an int, got None"),
    "member 0": (renamed("member.1.", "member.0."), "no member has such a tensor"),
    "member 01": (renamed("member.1.", "member.01."), "tensors of member 1 to 2 are required"),
    "member 3": (renamed("member.1.", "member.3."), "tensors of member 1 to 2 are required"),
    "no number": (renamed("member.1.", "member.."), "tensors of member 1 to 2 are required"),
    "its inputs": (renamed("member.1.0.bias", "member.1.inputs.mean"), "no member has such"),
    "missing": (renamed("member.1.0.bias", "member.2.9.bias"), "0.bias"),
    "more": (renamed("member.1.0.bias", "member.1.1.bias"), "1.bias"),
}


@pytest.mark.parametrize("name", FILES)
def test_crafted_files(name, tmp_path):
    data, text = FILES[name]
    path = tmp_path / "m"
    path.write_bytes(data)
    for reader in (fs.load_model, fs.load):
        with pytest.raises(ValueError) as caught:
            reader(path)
        assert text in str(caught.value) and "\n" not in str(caught.value)
        assert len(str(caught.value)) < len(str(path)) + 400


def test_a_file_without_the_number_of_its_members(tmp_path):
    description, entries, tensors = parts(saved())
    del description["members"]
    (tmp_path / "m").write_bytes(joined(description, entries, tensors))
    with pytest.raises(ValueError, match="a number is required, there are tensors of member '1'"):
        fs.load_model(tmp_path / "m")


@pytest.mark.parametrize("numbers", [{"step_count": 0, "first_loss": None}, [], [{}, {}], [1, 2]])
def test_crafted_states(numbers, tmp_path):
    description, entries, tensors = parts(saved(2, states=True))
    with pytest.raises(ValueError, match="trainer: "):
        checkpoint.from_bytes(joined(description | {"trainer": numbers}, entries, tensors))
    (tmp_path / "m").write_bytes(saved(2, states=True))
    with pytest.raises(ValueError, match="members: 1 is required to resume, got 2"):
        checkpoint.load_training(tmp_path / "m")


def test_logarithmic_targets():
    """The mean of standardized logarithms is the geometric mean of the values."""
    y = np.exp(RNG.normal(3, 1, (60, 2)))
    nets = networks("regression")
    m = fs.Model(nets[0], "regression", Standardizer.fit(X), Standardizer.fit(y, log=True),
                 members=nets)  # fmt: skip
    each = np.array([one.predict(X) for one in alone(m)])
    mean, deviation = m.predict(X, return_std=True)
    assert np.allclose(mean, np.exp(np.log(each).mean(0)), rtol=1e-6)
    assert np.allclose(deviation, each.std(0), rtol=1e-5)
    assert m.evaluate(X, y)["rmse"] == pytest.approx(np.sqrt(((mean - y) ** 2).mean()), rel=1e-9)


@pytest.mark.parametrize("task", TASKS)
def test_the_command_line_reads_members(task, tmp_path):
    model(task).save(path := tmp_path / "m")
    assert modelfile.read(path)[1]["format"] == 2, "an older version names the newer format"
    assert modelinfo.describe(path)["members"] == 3
    shown = modelinfo.table(modelinfo.describe(path))
    assert shown["members"] == "3, each with these layers and parameters"
    np.savetxt(file := tmp_path / "x.csv", X, delimiter=",")
    loaded = fs.load_model(path)
    assert (inference.predict(loaded, str(file), header=False) == loaded.predict(X)).all()
    (note,) = (f for f in diagnose_model(loaded, str(file), header=False).findings
               if f.rule == "members")  # fmt: skip
    assert (note.severity, note.text) == ("note", "of 3 networks, the first was measured")
    model(task, 1).save(path)
    assert "members" not in modelinfo.describe(path) and modelfile.read(path)[1]["format"] == 1
    found = diagnose_model(fs.load_model(path), str(file), header=False).findings
    assert not any(f.rule == "members" for f in found)


@pytest.mark.parametrize("scale", [1e-300, 1e-160, 1.0, 1e160, 1e300])
def test_the_spread_neither_overflows_nor_underflows(scale):
    nets = networks("regression")
    zeros, ones = np.zeros(2), np.ones(2)
    one, scaled = (fs.Model(nets[0], "regression", None, Standardizer(zeros, ones * by),
                            members=nets) for by in (1.0, scale))  # fmt: skip
    expected = one.predict(X, return_std=True)[1]
    assert np.allclose(scaled.predict(X, return_std=True)[1], expected * scale, rtol=1e-14, atol=0)
    offset = fs.Model(nets[0], "regression", None, Standardizer(ones * 1e12, ones), members=nets)
    assert (offset.predict(X, return_std=True)[1] == expected).all()
    z = [np.full((1, 1), by * scale) for by in (1.0, 2.0, 6.0)]
    of_combined = combined("regression", z, spread=True)[1]
    assert of_combined[0, 0] == pytest.approx(np.std([1, 2, 6]) * scale, rel=1e-14, abs=0)
