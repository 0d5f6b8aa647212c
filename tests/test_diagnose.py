"""fastsnn diagnose: figures compared with the float64 oracle, and a finding for every fault."""

import doctest
import io
import json

import numpy as np
import oracle
import pytest
from commands import call, good

import fastsnn as fs
import fastsnn.diagnose.measure
from fastsnn import data, methods, theory
from fastsnn.diagnose import plot as diagnose_plot
from fastsnn.diagnose import show as diagnose_show
from fastsnn.diagnose.measure import diagnose
from fastsnn.model import Model

HIDDEN = 8


@pytest.fixture(scope="module")
def digits():
    return data.load("digits")


@pytest.fixture(scope="module")
def raw_digits():
    return data.load("digits", standardize="none")


def network(activation, layers=HIDDEN, width=64, init="lecun_normal", dropout=(), seed=0):
    hidden = [fs.Dense(width, init), activation, *dropout] * layers
    return fs.Network([*hidden, fs.Dense(10)], 64, seed)


def scaled(net, factor):
    net.load_state_dict({name: factor * a for name, a in net.state_dict().items()})
    return net


@pytest.fixture(scope="module")
def trained(digits):
    net = fs.mlp(64, 10, layers=16, width=64, dropout=0.02, seed=0)
    trainer = fs.Trainer(net, optimizer=fs.SGD(learning_rate=0.01), threads=1)
    trainer.fit(digits.train.x, digits.train.y, epochs=8, batch_size=32)
    assert trainer.evaluate(digits.test.x, digits.test.y)["accuracy"] > 0.9
    return net


# The figures


def test_the_example_of_the_docstring():
    assert doctest.testmod(fastsnn.diagnose.measure).failed == 0


def test_figures_are_those_of_the_oracle(digits):
    net = network(fs.SELU(), layers=3, width=32)
    x, y = digits.test.x[:100], digits.test.y[:100]
    found = diagnose(net, x, y)
    state = net.state_dict()
    blocks = [
        oracle.Block(state[f"{i}.weight"], state[f"{i}.bias"], "selu" if i < 6 else "none")
        for i in (0, 2, 4, 6)
    ]
    outputs, _, _ = oracle.forward(blocks, x)
    _, gradients, _ = oracle.loss_and_gradients(blocks, x, y, "softmax_cross_entropy")
    assert len(found.layers) == len(outputs) == 5 and found.rows == 100
    for report, h in zip(found.layers, outputs, strict=True):
        assert (report.mean, report.variance) == pytest.approx((h.mean(), h.var()), abs=1e-5)
        for spread, of_units in ((report.unit_means, h.mean(0)), (report.unit_variances, h.var(0))):
            wanted = (of_units.mean(), *np.quantile(of_units, (0.05, 0.95)))
            assert spread == pytest.approx(wanted, abs=1e-5)
        assert report.dead == (h.max(0) == h.min(0)).mean()
    for i, (report, block) in enumerate(zip(found.layers[1:], blocks, strict=True)):
        for spread, values in (
            (report.weight_sum, block.w.sum(1)),
            (report.weight_square_sum, (block.w**2).sum(1)),
        ):
            assert spread == pytest.approx((values.mean(), values.min(), values.max()), rel=1e-5)
        assert report.gradient == pytest.approx(np.linalg.norm(gradients[2 * i]), rel=1e-4)
    rows = np.unique(np.linspace(0, 99, 32).round().astype(int))
    alone = [
        oracle.loss_and_gradients(blocks, x[[r]], y[[r]], "softmax_cross_entropy") for r in rows
    ]
    for i, report in enumerate(found.layers[1:]):
        squares = [np.sum(gradients[2 * i + 1] ** 2) for _, gradients, _ in alone]
        assert report.signal == pytest.approx(np.mean(squares) ** 0.5, rel=1e-4)
    assert np.allclose(found.counts.sum(1), 1) and len(found.edges) == found.counts.shape[1] + 1


def test_shares_of_units_are_counted_one_by_one(trained, digits):
    found = diagnose(trained, digits.test.x)
    state = trained.state_dict()
    kept = []
    for before, report in zip(found.layers, found.layers[1:-1], strict=False):
        m, v = before.mean, before.variance
        inside = kept_there = 0
        for w in state[f"{report.name}.weight"].astype(np.float64):
            inside += bool(theory.in_theorem1_domain(m, v, w.sum(), (w * w).sum()))
            to_m, to_v = theory.moment_map(m, v, w.sum(), (w * w).sum())
            kept_there += -0.1 <= to_m <= 0.1 and 0.8 <= to_v <= 1.5
        assert (report.theorem1, report.kept) == (inside / 64, kept_there / 64)
        kept.append(report.kept)
    assert max(kept) > 0.5  # else the comparison would prove little
    assert found.layers[-1].kept is None  # the output has no activation


def test_saturated_units_by_their_slopes():
    """Biases move one unit of each layer to the flat part of its activation."""
    x = np.random.default_rng(0).normal(size=(200, 64)).astype(np.float32)
    for activation, bias in ((fs.SELU(), -7), (fs.Tanh(), 6), (fs.ReLU(), -20)):
        net = network(activation, layers=1, width=8)
        state = net.state_dict()
        state["0.bias"][3] = bias
        net.load_state_dict(state)
        report = diagnose(net, x).layers[1]
        assert report.saturated == 1 / 8
        assert report.dead == (1 / 8 if isinstance(activation, fs.ReLU) else 0)


def test_rows_are_spread_evenly():
    x = np.zeros((5000, 64), np.float32)
    x[4000:] = 1
    found = diagnose(network(fs.SELU()), x)
    assert found.rows == 1000 and found.layers[0].mean == pytest.approx(0.2, abs=1e-3)


# Findings


def rules(net, x, y=None):
    return {finding.rule: finding for finding in diagnose(net, x, y).findings}


@pytest.mark.parametrize("layers", [2, 8, 32])
@pytest.mark.parametrize("seed", [0, 1])
def test_untrained_networks_as_the_paper_builds_them_are_fine(digits, layers, seed):
    net = fs.mlp(64, 10, layers=layers, width=64, dropout=0.01, seed=seed)
    assert not rules(net, digits.test.x, digits.test.y)


def test_a_trained_network_is_fine(trained, digits):
    assert not rules(trained, digits.test.x, digits.test.y)
    assert diagnose_show.words(diagnose(trained, digits.test.x))[0].startswith("no problems found")


@pytest.mark.parametrize("fixed_point", [(0.0, 2.0), (-0.1, 2.0)])
def test_other_fixed_points_are_fine(digits, fixed_point):
    net = network(fs.SELU(fixed_point), layers=16)
    assert not rules(net, digits.test.x, digits.test.y)
    assert diagnose(net, digits.test.x).layers[1].kept is None  # theorem 1 holds for (0, 1)


def test_relu_with_the_weights_of_selu_and_raw_inputs(raw_digits, digits):
    net = network(fs.ReLU(), layers=16)
    found = rules(net, raw_digits.test.x, raw_digits.test.y)
    assert list(found)[:3] == [
        "inputs not standardized", "weights not normalized for the activation", "variance collapses"
    ]  # fmt: skip
    assert "gradient vanishes" in found
    assert "mean 4.85 and variance 35.9" in found["inputs not standardized"].text
    weights = found["weights not normalized for the activation"]
    assert weights.layers == tuple(range(1, 17))
    assert "in 16 of 16 layers it is about 1, the value that SELU requires" in weights.text
    assert 'init="he_normal"' in weights.text
    assert found["variance collapses"].layers[-1] == 16
    assert not rules(network(fs.ReLU(), init="he_normal"), digits.test.x, digits.test.y)


def test_raw_inputs_alone(raw_digits):
    found = rules(network(fs.SELU(), layers=16), raw_digits.test.x, raw_digits.test.y)
    assert list(found) == ["inputs not standardized"]


def test_features_of_different_scales():
    x = np.random.default_rng(0).normal(size=(500, 64)).astype(np.float32)
    x[:, ::16] *= 30
    x /= x.std()
    found = rules(network(fs.SELU()), x)
    assert list(found) == ["inputs not standardized"]
    assert "5 % of the features" in found["inputs not standardized"].text


@pytest.mark.parametrize(
    "factor, expected",
    [
        (0.5, {"variance collapses", "gradient vanishes"}),
        (2.0, {"variance explodes", "gradient explodes", "means drift", "saturated units"}),
    ],
)
def test_weights_of_a_wrong_size(digits, factor, expected):
    net = scaled(network(fs.SELU(), layers=16), factor)
    found = rules(net, digits.test.x, digits.test.y)
    weights = found.pop("weights not normalized for the activation")
    assert f"it is about {4 if factor == 2 else 0.25}" in weights.text
    assert expected == found.keys() - {"dead units"}
    assert not rules(scaled(net, 1 / factor), digits.test.x, digits.test.y)


def test_deep_relu_networks_lose_the_rows(digits):
    """This happens even with He's weights: outputs of different rows become alike, and units
    die.
    """
    found = rules(network(fs.ReLU(), layers=32, init="he_normal"), digits.test.x, digits.test.y)
    assert found.keys() == {"rows look alike", "dead units"}
    assert found["rows look alike"].layers[-1] == 32


@pytest.mark.parametrize(
    "activation, dropout, text",
    [
        (fs.SELU(), fs.Dropout(0.1), "plain dropout after SELU in 8 layers (1 to 8)"),
        (fs.ReLU(), fs.AlphaDropout(0.1), "alpha dropout after ReLU"),
    ],
)
def test_dropout_that_does_not_fit(digits, activation, dropout, text):
    init = "he_normal" if isinstance(activation, fs.ReLU) else "lecun_normal"
    with pytest.warns(UserWarning):
        net = network(activation, init=init, dropout=[dropout])
    assert text in rules(net, digits.test.x)["dropout does not fit the activation"].text


def test_infinite_outputs_are_found_and_drawn(digits, tmp_path):
    net = network(fs.SELU(), layers=4)
    scaled(net, np.float32(1e12))
    found = diagnose(net, digits.test.x)
    assert found.findings[0].rule == "not finite" and found.findings[0].layers == (4,)
    json.dumps(found.to_dict(), allow_nan=False)
    diagnose_plot.draw(found, tmp_path / "infinite.png", "infinite")
    diagnose_show.show(found, io.StringIO())


@pytest.mark.parametrize("method", methods.METHODS)
def test_the_papers_other_networks(digits, method, tmp_path):
    net = methods.network(method, 64, 10, layers=4, width=32, dropout=0.1)
    x, y = digits.train.x, digits.train.y
    found = diagnose(net, x[:300], y[:300])
    assert len(found.layers) == len(net.nodes) + 1
    coupled = method in ("batchnorm", "resnet")
    for node, report in zip(net.nodes, found.layers[1:], strict=True):
        assert (report.weight_sum is not None) == (node.op == "dense")
        assert (report.gradient is not None) == (node.op != "highway")
        assert (report.signal is None) == (coupled or node.op == "highway")
    if method == "weightnorm":  # the weights in effect, not their directions
        assert found.layers[1].weight_square_sum.mean == pytest.approx(2, rel=0.3)
    words = " ".join(diagnose_show.words(found))
    for rule in ("weights not", "dropout does not", "gradient", "drift", "inputs"):
        assert rule not in words


# Bad input


@pytest.mark.parametrize(
    "change, text",
    [
        ({"x": np.full((3, 64), np.nan, np.float32)}, "x: finite numbers are required, got nan in"),
        ({"x": np.zeros((3, 5), np.float32)}, "the network has 64 inputs, got 5 features"),
        ({"task": "ranking"}, "task must be one of classification"),
        ({"y": np.array([99])}, r"classes in \[0, 10\) are required, got 99"),
        ({"y": np.array([0.5])}, 'got float64; for a regression give task="regression"'),
    ],
)
def test_bad_input(change, text):
    arguments = {"x": np.zeros((1, 64), np.float32), "y": None} | change
    with pytest.raises((ValueError, TypeError), match=text):
        diagnose(network(fs.SELU(), layers=1), **arguments)


# The command


@pytest.fixture
def model_files(tmp_path, trained, digits, raw_digits):
    files = {"good": tmp_path / "good.safetensors", "bad": tmp_path / "bad.safetensors"}
    Model.of(trained, digits).save(files["good"])
    Model.of(network(fs.ReLU(), layers=16), raw_digits).save(files["bad"])
    return files


def test_the_command_on_a_good_model(model_files, tmp_path):
    picture = tmp_path / "good.png"
    options = ("--model", model_files["good"], "--data", "digits", "--threads", 1)
    text = good("diagnose", *options, "--plot", picture)
    assert "no problems found in 17 layers" in text
    assert sum("dense 64 selu alpha-dropout 0.02" in line for line in text.splitlines()) == 16
    assert picture.read_bytes().startswith(b"\x89PNG")
    found = json.loads(good("diagnose", *options, "--json"), parse_constant=lambda word: 1 / 0)
    assert found["fine"] and found["findings"] == [] and found["rows"] == 359
    assert len(found["layers"]) == 18 and found["layers"][3]["gradient"] > 0
    assert found["layers"][0]["what"] == "input" and found["layers"][0]["gradient"] is None


def test_the_command_names_the_fault(model_files, tmp_path):
    picture = tmp_path / "bad.svg"
    options = ("--model", model_files["bad"], "--data", "digits", "--threads", 1)
    text = good("diagnose", *options, "--plot", picture)
    for fault in ("inputs not standardized", "weights not normalized", "variance collapses",
                  "gradient vanishes"):  # fmt: skip
        assert f"\n{fault}" in text
    found = json.loads(good("diagnose", *options, "--json"))
    assert not found["fine"] and found["findings"][0]["layers"] == [0]
    assert "<svg" in picture.read_text()


def test_the_picture_shows_a_collapse(digits, raw_digits):
    """Outputs of a healthy layer fill many bins of the picture; collapsed ones fill the bin at
    0.
    """

    def filled(net, x):
        return (diagnose(net, x).counts > 1e-3).sum(1)

    healthy, broken = fs.mlp(64, 10, layers=16, width=64), network(fs.ReLU(), layers=16)
    assert filled(healthy, digits.test.x)[1:-1].min() > 50
    counts = filled(broken, raw_digits.test.x)
    assert counts[1] > 30 and counts[-2] <= 2


def test_files_with_and_without_labels(model_files, digits, raw_digits, tmp_path):
    np.savez(tmp_path / "labelled.npz", x=raw_digits.test.x, y=digits.test.y)
    lines = [",".join(map(str, row)) for row in raw_digits.test.x[:50].tolist()]
    (tmp_path / "bare.csv").write_text("\n".join(lines))
    options = ("--model", model_files["good"], "--threads", 1)
    labelled = json.loads(good("diagnose", *options, "--data", tmp_path / "labelled.npz", "--json"))
    assert labelled["without_gradients"] is None and labelled["layers"][1]["signal"] > 0
    bare = ("diagnose", *options, "--data", tmp_path / "bare.csv")
    assert "\nno gradients: " in good(*bare)
    found = json.loads(good(*bare, "--json"))
    assert found["rows"] == 50 and "bare.csv" in found["without_gradients"]
    assert found["layers"][1]["gradient"] is None and found["layers"][1]["mean"] is not None


@pytest.mark.parametrize(
    "options, text",
    [
        (
            ("--data", "digits", "--plot", "x.gif"),
            "--plot x.gif: a file name ending in .png, .svg, .pdf is required",
        ),
        (("--data", "digits", "--target", "a"), "its target is fixed"),
        (("--data", "nothing.csv"), "nothing.csv"),
        (("--data", "optdigits.txt"), "optdigits.txt"),
    ],
)
def test_bad_arguments_are_refused_in_one_line(model_files, options, text):
    result = call("diagnose", "--model", model_files["good"], *options)
    assert result.exit_code == 1 and text in result.stderr and result.stderr.count("\n") == 1


def test_a_picture_without_matplotlib(model_files, monkeypatch):
    monkeypatch.setattr(diagnose_plot.importlib.util, "find_spec", lambda name: None)
    result = call("diagnose", "--model", model_files["good"], "--data", "digits", "--plot", "x.png")
    assert result.exit_code == 1 and "pip install '.[plot]'" in result.stderr


def test_a_narrow_table_has_fewer_columns(trained, digits, monkeypatch):
    found = diagnose(trained, digits.test.x)
    for width, there in ((200, True), (80, False)):
        monkeypatch.setattr(diagnose_show, "WIDTH", width)
        stream = io.StringIO()
        diagnose_show.show(found, stream)
        head = stream.getvalue().splitlines()[1]
        assert ("unit variances" in head) == there and "variance" in head
        assert max(map(len, stream.getvalue().splitlines()[:20])) <= width
